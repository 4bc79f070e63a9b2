import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { EbbError, NOTHING_CHANGED } from '../errors.ts'
import { codeOf, reasonOf } from '../db/sqlstate.ts'
import type { CreateRequest } from '../requests/migrate.ts'

const CALL = "partition({ table: 'events', by: 'created_at', every: 'month', keep: '90 days' })"

const JS = `/** @type {import('pg-ebb').Migration} */
export async function up({ context: { partition } }) {
  await ${CALL}
}

/** @type {import('pg-ebb').Migration} */
export async function down({ context: { rollback } }) {
  await rollback()
}
`

const TS = `import type { Migration } from 'pg-ebb'

export const up: Migration = async ({ context: { partition } }) => {
  await ${CALL}
}

export const down: Migration = async ({ context: { rollback } }) => {
  await rollback()
}
`

const SQL = '-- Runs in one transaction, together with its record.\n'

const TEMPLATES = {
  js: { '.js': JS },
  ts: { '.ts': TS },
  sql: { '.sql': SQL, '.down.sql': SQL },
}

/** Writes a migration from a template. Returns the files. */
export async function createMigration({ folder, name, type }: CreateRequest, now: Date): Promise<string[]> {
  const prefix = now.toISOString().replace(/\D/g, '').slice(0, 14)
  const files = Object.entries(TEMPLATES[type]).map(([ending, content]) => ({
    path: join(folder, `${prefix}-${name}${ending}`),
    content,
  }))
  try {
    await mkdir(folder, { recursive: true })
    for (const { path, content } of files) await writeFile(path, content, { flag: 'wx' })
  } catch (error) {
    if (codeOf(error) === undefined) throw error
    const next = 'Pass a --folder that can be written to, or another name.'
    throw new EbbError(`cannot write there: ${reasonOf(error)}`, { state: NOTHING_CHANGED, next }, 'usage', error)
  }
  return files.map(({ path }) => path)
}
