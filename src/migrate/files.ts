import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { UsageError } from '../errors.ts'
import { reasonOf } from '../db/sqlstate.ts'

/** A migration in a folder. */
export interface MigrationFile {
  /** Without its ending, so that compiling TypeScript does not change it. */
  readonly name: string
  readonly path: string
  readonly kind: 'module' | 'sql'
  /** Of SQL: the file that undoes it. */
  readonly downPath: string | null
}

const MODULE = /\.(?:js|mjs|cjs|ts|mts|cts)$/
const DECLARATION = /\.d\.[mc]?ts$/
const DOWN = /\.down\.sql$/

/**
 * The migrations of a folder, in the order of their names.
 *
 * @throws {UsageError} when it cannot be read, or two files have one name
 */
export async function readMigrationFiles(folder: string): Promise<MigrationFile[]> {
  const files = await readdir(folder).catch((error: unknown) => {
    throw new UsageError(
      `the folder of migrations cannot be read: ${reasonOf(error)}`,
      'Pass --folder, or make a first migration: ebb migrate create <name>.',
      error,
    )
  })
  const migrations = files.sort().flatMap((file) => migrationOf(folder, file, files))
  const twice = migrations.find(({ name }, i) => migrations.findIndex((other) => other.name === name) < i)
  if (twice !== undefined)
    throw new UsageError(
      `there are two migrations called ${twice.name} in ${folder}`,
      'Keep one of them: the ending is not part of the name.',
    )
  return migrations
}

function migrationOf(folder: string, file: string, files: readonly string[]): MigrationFile[] {
  const path = join(folder, file)
  if (MODULE.test(file) && !DECLARATION.test(file))
    return [{ name: file.replace(MODULE, ''), path, kind: 'module', downPath: null }]
  if (!file.endsWith('.sql') || DOWN.test(file)) return []
  const name = file.slice(0, -'.sql'.length)
  const down = files.find((other) => other === `${name}.down.sql`)
  return [{ name, path, kind: 'sql', downPath: down === undefined ? null : join(folder, down) }]
}
