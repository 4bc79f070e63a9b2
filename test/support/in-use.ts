import { expect } from 'vitest'
import type { TableModel } from '../../src/catalog/table/table-model.ts'
import { EbbError } from '../../src/errors.ts'
import { compareFacts, factsOf } from '../../src/plan/table/facts.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import type { Database } from './database.ts'
import { createEvents, type EventsTable } from './events-table.ts'
import { callFunction, readThrough } from './reads.ts'
import { modelOf } from './tool.ts'
import { verifyWrites } from './verify-writes.ts'
import { startWriters, type Read, type Writers } from './writers.ts'

// A table that an application writes and reads, while something dies that works on it.

export interface InUse extends EventsTable {
  readonly writers: Writers
}

interface Use {
  readonly rows: number
  /** Whether the application connects again when the server has died. */
  readonly reconnect?: boolean
  /** Reads besides those through a view and a function. */
  readonly reads?: (parts: EventsTable) => readonly Read[]
}

/** A table of events, in use. */
export async function inUse(database: Database, { rows, reconnect = false, reads }: Use): Promise<InUse> {
  const parts = await createEvents(database, { rows, publication: true })
  const { events, view, countFunction } = parts
  const writers = await startWriters(database, {
    insert: (token) => ({
      text: `insert into ${quoted(events).text} (user_id, kind, token) values ($1, 'click', $2)`,
      values: [1 + Math.floor(Math.random() * 100), token],
    }),
    reads: [readThrough(view, 'id'), callFunction(countFunction), ...(reads?.(parts) ?? [])],
    pauseMs: 10,
    reconnect,
  })
  return { ...parts, writers }
}

/** Ends the use: no statement has failed, and every write is there once, besides the rows of the beginning. */
export async function expectNothingNoticed(
  database: Database,
  events: TableName,
  writers: Writers,
  rows: number,
): Promise<void> {
  const report = await writers.stop()
  expect(report.errors).toEqual([])
  expect(report.writes).toBeGreaterThan(20)
  await verifyWrites(await database.session('check'), events, 'token', report, rows)
}

/** The table is as it was, and nothing of ours is left. */
export async function expectUntouched(database: Database, events: TableName, before: TableModel): Promise<void> {
  expect(compareFacts(factsOf(before), factsOf(await modelOf(database, events)))).toEqual([])
  expect(await leftovers(database)).toEqual([])
}

/** Indexes that no query uses, whatever of ours is not in the journal, and runs that are not finished. */
export async function leftovers(database: Database): Promise<string[]> {
  const { rows } = await database.admin<{ what: string }>(`
    select indexrelid::regclass::text as what from pg_index where not indisvalid
    union all select conname from pg_constraint where conname like '%ebb%' and connamespace is distinct from to_regnamespace('ebb')
    union all select relname from pg_class where relname ~ '_retired|ebb' and relnamespace is distinct from to_regnamespace('ebb')
    union all select tgname from pg_trigger where tgname like 'ebb%'
    union all select proname from pg_proc where proname like 'ebb%'`)
  return [...rows.map(({ what }) => what), ...(await unfinishedRuns(database))]
}

/** Runs that have neither come to their end nor been given up. */
export async function unfinishedRuns(database: Database): Promise<string[]> {
  // The tool may have been killed before there was a journal.
  const { rows: journal } = await database.admin<{ there: boolean }>(
    `select to_regclass('ebb.run') is not null as there`,
  )
  if (journal[0]?.there !== true) return []
  const { rows } = await database.admin<{ what: string }>(
    `select format('run %s', id) as what from ebb.run where status = 'running'`,
  )
  return rows.map(({ what }) => what)
}

/** For giving up what may have died before there was anything to give up. */
export function unlessNothingToAbandon(error: unknown): void {
  if (!(error instanceof EbbError && /there is no run|nothing to abandon/.test(error.message))) throw error
}
