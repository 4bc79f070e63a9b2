import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Database } from './database.ts'
import { commonGround, groundOfDump, type DumpGround } from './fidelity/dumps.ts'
import { unable, type Skip } from './programs.ts'

// A database as its dump brings it into another one: the same names, other oids.

export interface DumpableGround extends DumpGround {
  readonly program: string
}

/** The server of all tests if its pg_dump is there, otherwise one that came with a pg_dump. */
export async function dumpableGround(skip: Skip): Promise<DumpableGround> {
  const common = commonGround()
  const found = common.program === null ? await groundOfDump(skip) : common
  return { ...found, program: found.program ?? unable('needs pg_dump', skip) }
}

/** Plain text by psql, or the custom format by pg_restore. */
export type Format = 'plain' | 'custom'

/** The contents of a database in a new one, which the caller drops. */
export async function restoredFrom(
  { ground, program }: DumpableGround,
  database: Database,
  format: Format,
): Promise<Database> {
  const copy = await Database.create(ground)
  const folder = mkdtempSync(join(tmpdir(), 'ebb-dump-'))
  const file = join(folder, 'dump')
  const run = (name: string, ...words: string[]) =>
    execFileSync(join(dirname(program), name), words, { stdio: ['ignore', 'ignore', 'pipe'] })
  const clean = ['--clean', '--if-exists']
  try {
    if (format === 'plain') {
      run('pg_dump', ...clean, `--file=${file}`, `--dbname=${database.adminUrl}`)
      run('psql', '--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', `--dbname=${copy.adminUrl}`, `--file=${file}`)
    } else {
      run('pg_dump', '--format=custom', `--file=${file}`, `--dbname=${database.adminUrl}`)
      run('pg_restore', ...clean, '--exit-on-error', `--dbname=${copy.adminUrl}`, file)
    }
    return copy
  } finally {
    rmSync(folder, { recursive: true })
  }
}
