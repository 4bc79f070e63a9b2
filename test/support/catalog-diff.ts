import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Database } from './test-database.ts'

/**
 * The whole definition of a database as pg_dump writes it, for comparison before and
 * after. `program` comes from `needs('pg_dump')`, and must not be older than the server
 * (`isNewEnough`).
 */
export async function schemaDump(program: string, database: Database): Promise<string> {
  const { stdout } = await promisify(execFile)(program, ['--schema-only', `--dbname=${database.adminUrl}`], {
    maxBuffer: 64 * 1024 * 1024,
  })
  return stdout.replaceAll(/^\\(un)?restrict .*\n/gm, '') // a random word, another one in each dump
}
