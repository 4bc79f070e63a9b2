import type { Address } from '../db/session.ts'
import { inTransaction } from '../db/transaction.ts'
import { isLockRefused, reasonOf } from '../db/sqlstate.ts'
import { readPatiently } from '../engine/locks/patiently.ts'
import type { EngineOptions } from '../engine/options.ts'
import { EbbError, NOTHING_CHANGED, ObjectionsError } from '../errors.ts'
import { journalExists } from '../journal/journal.ts'
import { leaseHolder, tablesAtWork } from '../journal/lease.ts'
import {
  beginMigration,
  forgetMigration,
  markApplied,
  migrationTable,
  noteMigrationError,
  readMigrations,
  type Direction,
  type MigrationRecord,
} from '../journal/migration-files.ts'
import { objection } from '../plan/language/objection.ts'
import { sameName } from '../sql/names.ts'
import { withContext } from './calls.ts'
import { readMigrationFiles, type MigrationFile } from './files.ts'
import { loadMigration } from './load.ts'
import { tell, type Migrating } from './migrating.ts'
import { oneAtATime } from './one-at-a-time.ts'
import { runSql } from './run-sql.ts'

/** Where the migrations are. */
export interface MigrateRequest {
  readonly folder: string
}

export type MigrationState = 'pending' | 'applied' | 'unfinished' | 'missing'

/** A migration: a file, or a record of one. */
export interface MigrationStatus {
  readonly name: string
  /** Null where the file is missing. */
  readonly file: MigrationFile | null
  /** Null where it has not been begun. */
  readonly record: MigrationRecord | null
  /** `missing`: it has been begun, and there is no file any more. */
  readonly state: MigrationState
}

export interface MigrationsReport {
  readonly migrations: readonly MigrationStatus[]
  /** Who runs migrations now. */
  readonly running: string | null
}

/** What has been done. */
export interface MigrationsResult {
  readonly direction: Direction
  readonly done: readonly { readonly name: string; readonly milliseconds: number }[]
}

/** Which migrations there are, and how far they are. Read-only. */
export async function migrationStatus(
  target: Address,
  { folder }: MigrateRequest,
  options: EngineOptions,
): Promise<MigrationsReport> {
  const files = await readMigrationFiles(folder)
  const { journalSchema: schema } = options
  return readPatiently(target, 'migrate status', options, async (session) => {
    if (!(await journalExists(session, schema, 'look'))) return { migrations: statusOf(files, []), running: null }
    const table = migrationTable(schema)
    const busy = (await tablesAtWork(session, schema)).some((one) => sameName(one, table))
    return {
      migrations: statusOf(files, await readMigrations(session, schema)),
      running: busy ? await leaseHolder(session, schema, table) : null,
    }
  })
}

function statusOf(files: readonly MigrationFile[], records: readonly MigrationRecord[]): MigrationStatus[] {
  const names = [...new Set([...files, ...records].map(({ name }) => name))].sort()
  return names.map((name) => {
    const file = files.find((one) => one.name === name) ?? null
    const record = records.find((one) => one.name === name) ?? null
    return { name, file, record, state: stateOf(file, record) }
  })
}

function stateOf(file: MigrationFile | null, record: MigrationRecord | null): MigrationState {
  if (record === null) return 'pending'
  if (file === null) return 'missing'
  return record.direction === 'up' && record.appliedAt !== null ? 'applied' : 'unfinished'
}

/**
 * Runs what is pending, in order, after finishing what is unfinished.
 *
 * @throws {EbbError} at the first that fails; those before it are applied
 */
export function up(target: Address, { folder }: MigrateRequest, options: EngineOptions): Promise<MigrationsResult> {
  return oneAtATime(target, options, async (journal) => {
    const migrating = { target, options, journal }
    const migrations = statusOf(await readMigrationFiles(folder), await readMigrations(journal.session, journal.schema))
    refuse('run the pending migrations', migrations.flatMap(objectionsToUp))
    return carryOut(migrating, migrations, 'up')
  })
}

/** Undoes the last one: the unfinished one, if there is one. */
export function down(target: Address, { folder }: MigrateRequest, options: EngineOptions): Promise<MigrationsResult> {
  return oneAtATime(target, options, async (journal) => {
    const migrating = { target, options, journal }
    const migrations = statusOf(await readMigrationFiles(folder), await readMigrations(journal.session, journal.schema))
    const last = lastOf(migrations)
    if (last === null) return { direction: 'down', done: [] }
    refuse(`undo migration ${last.name}`, await objectionsToDown(last))
    return carryOut(migrating, migrations, 'down', [last.name])
  })
}

/** The one that `down` undoes. */
export function lastOf(migrations: readonly MigrationStatus[]): MigrationStatus | null {
  const at = ({ record, state }: MigrationStatus) =>
    record === null ? -Infinity : state === 'unfinished' ? Infinity : (record.appliedAt ?? record.begunAt).getTime()
  const begun = migrations.filter(({ record }) => record !== null)
  return begun.toSorted((a, b) => at(a) - at(b) || (a.name < b.name ? -1 : 1)).at(-1) ?? null
}

function refuse(goal: string, objections: readonly { readonly what: string; readonly fix: string }[]): void {
  if (objections.length > 0) throw new ObjectionsError(goal, { objections })
}

function objectionsToUp({ name, record, state }: MigrationStatus) {
  if (state !== 'unfinished' || record?.direction !== 'down') return []
  return [
    objection(
      'undone-in-part',
      `migration ${name} has been undone in part`,
      'Finish that: ebb migrate down --execute.',
    ),
  ]
}

async function objectionsToDown({ name, file }: MigrationStatus) {
  if (file === null)
    return [
      objection(
        'migration-missing',
        `the file of migration ${name} is missing`,
        'Bring it back, or pass its --folder: it says how it is undone.',
      ),
    ]
  const isUndoable = file.kind === 'sql' ? file.downPath !== null : (await loadMigration(file)).down !== null
  const way = file.kind === 'sql' ? `a file ${name}.down.sql` : 'an exported function called down'
  return isUndoable ? [] : [objection('no-down', `migration ${name} does not say how it is undone`, `Write ${way}.`)]
}

/** What is done with each migration; umzug says which, and in what order. */
async function carryOut(
  migrating: Migrating,
  migrations: readonly MigrationStatus[],
  direction: Direction,
  names?: string[],
): Promise<MigrationsResult> {
  // It takes 0.1 s to load.
  const { Umzug } = await import('umzug')
  const done: { name: string; milliseconds: number }[] = []
  const step = (file: MigrationFile, record: MigrationRecord | null) => async () => {
    const began = performance.now()
    tell(migrating, `migration ${file.name}: ${direction}`)
    await migrateOne(migrating, file, record, direction).catch((error: unknown) => {
      throw error instanceof EbbError ? afterOthers(error, direction, done) : error
    })
    done.push({ name: file.name, milliseconds: performance.now() - began })
  }
  const umzug = new Umzug({
    migrations: migrations.flatMap(({ file, record }) =>
      file === null ? [] : [{ name: file.name, up: step(file, record), down: step(file, record) }],
    ),
    // Each is recorded with what it has done.
    storage: {
      executed: async () => migrations.filter((one) => isOver(one, direction)).map(({ name }) => name),
      logMigration: async () => {},
      unlogMigration: async () => {},
    },
    logger: undefined,
  })
  try {
    if (direction === 'up') await umzug.up()
    else await umzug.down({ migrations: names ?? [] })
  } catch (error) {
    // umzug's own says only which migration it was.
    throw error instanceof Error && error.cause instanceof EbbError ? error.cause : error
  }
  return { direction, done }
}

/** To umzug an unfinished one is pending on the way up, and executed on the way down. */
function isOver({ record, state }: MigrationStatus, direction: Direction): boolean {
  return direction === 'up' ? state === 'applied' : record !== null
}

async function migrateOne(
  migrating: Migrating,
  file: MigrationFile,
  record: MigrationRecord | null,
  direction: Direction,
): Promise<void> {
  try {
    if (migrating.options.signal.aborted) throw stoppedBefore(file)
    if (file.kind === 'sql') await runSql(migrating, file, direction)
    else await runModule(migrating, file, record, direction)
  } catch (error) {
    const explained = explainedOf(file, direction, error)
    // The failure is told in any case.
    await noteMigrationError(migrating.journal, file.name, explained.message).catch(() => {})
    throw explained
  }
}

async function runModule(
  migrating: Migrating,
  file: MigrationFile,
  record: MigrationRecord | null,
  direction: Direction,
): Promise<void> {
  const { journal } = migrating
  const { name } = file
  const work = (await loadMigration(file))[direction]
  await beginMigration(journal, name, direction)
  await withContext(migrating, { name, calls: record?.calls ?? [] }, direction, async (context) => {
    await work?.({ name, context })
  })
  await inTransaction(journal.session, {}, () => recorded(journal, name, direction))
}

function recorded(journal: Migrating['journal'], name: string, direction: Direction): Promise<void> {
  return direction === 'up' ? markApplied(journal, name) : forgetMigration(journal, name)
}

function stoppedBefore({ name }: MigrationFile): EbbError {
  return new EbbError(
    `stopped before migration ${name}`,
    { state: NOTHING_CHANGED, next: 'Run the same command again.' },
    'stopped',
  )
}

/** An error says what its own migration has changed; those before it are over. */
function afterOthers(error: EbbError, direction: Direction, done: MigrationsResult['done']): EbbError {
  if (done.length === 0) return error
  const own = error.advice.state === NOTHING_CHANGED ? 'This migration has changed nothing.' : error.advice.state
  const before = `${direction === 'up' ? 'Applied' : 'Undone'} before it: ${done.map(({ name }) => name).join(', ')}.`
  return new EbbError(error.message, { ...error.advice, state: `${own} ${before}` }, error.kind, error, error.values)
}

/** Which migration has failed, and why. */
function explainedOf({ name, kind }: MigrationFile, direction: Direction, error: unknown): EbbError {
  const what = `migration ${name}${direction === 'up' ? '' : ' (down)'}`
  if (error instanceof EbbError)
    return new EbbError(
      error.message.includes(name) ? error.message : `${what}: ${error.message}`,
      error.advice,
      error.kind,
      error,
      error.values,
    )
  return new EbbError(
    `${what} failed: ${reasonOf(error)}`,
    {
      state:
        kind === 'sql'
          ? 'It has been rolled back as a whole.'
          : 'What it has committed is kept: see ebb migrate status.',
      next: 'Correct the cause, and run the same command again: calls of Ebb that are done are not repeated.',
    },
    isLockRefused(error) ? 'try later' : 'failed',
    error,
  )
}
