import { execFile } from 'node:child_process'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { inject } from 'vitest'
import { findBinaries } from '../../../src/embedded/binaries.ts'
import { startServer } from '../../../src/embedded/server.ts'
import { findProgram, isNewEnough, unable, type Skip } from '../programs.ts'
import { SETTINGS } from '../server.ts'
import { prepareGround, type Ground } from '../template.ts'

// The definition of a database as pg_dump writes it, in parts that can be compared.

/** A server, and a program that can dump its databases; null where there is none that is new enough. */
export interface DumpGround {
  readonly ground: Ground
  readonly program: string | null
  remove(): Promise<void>
}

/** The server of all tests. */
export function commonGround(): DumpGround {
  const ground = inject('ground')
  const found = findProgram('pg_dump')
  const program = 'path' in found && isNewEnough(found.path, ground.version) ? found.path : null
  return { ground, program, remove: async () => {} }
}

/** Where the server of all tests is newer than the pg_dump there is: one that came with that pg_dump. */
export async function groundOfDump(skip: Skip): Promise<DumpGround> {
  if (commonGround().program !== null) skip('the other test does it')
  const found = findProgram('pg_dump')
  if ('missing' in found) return unable(found.missing, skip)
  const program = found.path
  const binaries = await findBinaries({ folder: dirname(program) }).catch(() =>
    unable('the pg_dump here is older than the server, and has no server of its own', skip),
  )
  const server = await startServer({ binaries, settings: SETTINGS })
  return { ground: await prepareGround(server.url), program, remove: () => server.remove() }
}

/** Each entry begins with a line that says what it is. */
export type Dump = readonly string[]

/** Everything but Ebb's own schema. */
export async function dumpOf(program: string, url: string): Promise<Dump> {
  const words = ['--schema-only', '--exclude-schema=ebb', `--dbname=${url}`]
  const { stdout } = await promisify(execFile)(program, words, { maxBuffer: 64 * 1024 * 1024 })
  const text = stdout.replaceAll(/^\\(un)?restrict .*\n|^--\n-- PostgreSQL database dump complete\n--\n/gm, '') // the first has a random word
  return text.split(/^--\n-- (?=Name: )/m).map((entry) => entry.trim())
}

/** Entries of `before` that are missing (of those that have changed, the lines), and those of `after` that are new. */
export function differences(before: Dump, after: Dump): { missing: string[]; added: string[] } {
  const missing = before.filter((entry) => !after.includes(entry))
  const added = after.filter((entry) => !before.includes(entry))
  return { missing: missing.map((entry) => changedLines(entry, added)), added }
}

function changedLines(entry: string, others: readonly string[]): string {
  const lines = entry.split('\n')
  const counterpart = others.find((other) => other.split('\n')[0] === lines[0])?.split('\n') ?? []
  return [
    ...lines.slice(0, 1),
    ...lines.filter((line) => !counterpart.includes(line)).map((line) => `- ${line}`),
    ...counterpart.filter((line) => !lines.includes(line)).map((line) => `+ ${line}`),
  ].join('\n')
}
