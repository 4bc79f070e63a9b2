import { createHash } from 'node:crypto'
import type { Session } from '../db/session.ts'
import { EbbError, NOTHING_CHANGED } from '../errors.ts'
import type { Event } from '../events.ts'
import {
  beginCall,
  endCall,
  noteCallRun,
  type CallPlace,
  type Direction,
  type MigrationCall,
  type MigrationRecord,
} from '../journal/migration-files.ts'
import { canonicalJson, toStored } from '../plan/language/stored.ts'
import { display } from '../sql/names.ts'
import type { Table } from '../library/database.ts'
import { CALLS, type CallName, type CallResult, type MigrationContext } from './context.ts'
import { openAsUser, type Migrating } from './migrating.ts'
import { rollBack } from './roll-back.ts'

// A migration that was interrupted is run again from its beginning, so each of its calls is recorded with its run:
//
//   - before it begins, and its run as soon as that is known, so a call whose run is done is not repeated;
//   - a call whose run is unfinished is made again, and continues it;
//   - a call that is done but differs now has been edited afterwards, and is an error.

/** Runs `work` with what a migration can call. */
export async function withContext<T>(
  migrating: Migrating,
  { name, calls }: Pick<MigrationRecord, 'name' | 'calls'>,
  direction: Direction,
  work: (context: MigrationContext) => Promise<T>,
): Promise<T> {
  let session: Promise<Session> | undefined
  let position = 0
  const earlier = calls.filter((call) => call.direction === direction)
  const bound = (command: CallName) => (options: object) => {
    const place = { name, direction, position: position++ }
    return callOnce(migrating, place, earlier[place.position], command, options)
  }
  const context = {
    ...Object.fromEntries(Object.keys(CALLS).map((command) => [command, bound(command as CallName)])),
    rollback: () => rollBack(migrating, name, calls),
    query: async (text: string, values: readonly unknown[] = []) =>
      (await (session ??= openAsUser(migrating.target))).query(text, [...values]),
    signal: migrating.options.signal,
  } as MigrationContext
  try {
    return await work(context)
  } catch (error) {
    const isFirst = position + (session === undefined ? 0 : 1) <= 1
    throw isFirst ? error : afterOthers(error)
  } finally {
    await (await session)?.end()
  }
}

/** An error knows what its own call has changed, and nothing of what was done before that call. */
function afterOthers(error: unknown): unknown {
  if (!(error instanceof EbbError) || error.advice.state !== NOTHING_CHANGED) return error
  const state = 'This call has changed nothing. What was done before it is kept: see ebb migrate status.'
  return new EbbError(error.message, { ...error.advice, state }, error.kind, error, error.values)
}

async function callOnce(
  migrating: Migrating,
  place: CallPlace,
  earlier: MigrationCall | undefined,
  command: CallName,
  options: object,
): Promise<CallResult> {
  const { journal } = migrating
  const call = { command, table: tableOf(options), digest: digestOf(command, options) }
  const done = earlier !== undefined && isDone(earlier)
  if (done && earlier.digest !== call.digest) throw edited(place, earlier, call)
  if (done) return { runId: earlier.runId }
  const goesOn = earlier?.digest === call.digest && earlier.status === 'running'
  if (!goesOn) await beginCall(journal, place, call)
  const result = await observed(migrating, place, (told) => CALLS[command](migrating.target, { ...options, ...told }))
  await endCall(journal, place)
  return { runId: result.runId }
}

/** These can be repeated, and their run says nothing of rows that were left because they were locked. */
const REPEATABLE = ['purge', 'mark', 'view']

function isDone({ command, status, ended }: MigrationCall): boolean {
  if (status === null) return ended
  return status === 'done' && (ended || !REPEATABLE.includes(command))
}

/** Records the run as soon as an event names it. */
async function observed(
  { options: { journalSchema, observer, signal }, journal }: Migrating,
  place: CallPlace,
  work: (options: object) => Promise<CallResult>,
): Promise<CallResult> {
  let noted: Promise<void> | undefined
  const note = (event: Event) => {
    observer(event)
    if (event.runId === null || noted !== undefined) return
    noted = noteCallRun(journal, place, event.runId)
    noted.catch(() => {}) // waited for below
  }
  try {
    return await work({ journalSchema, signal, observer: note })
  } finally {
    await noted
  }
}

function tableOf(options: object): string {
  const { table, tables } = options as { readonly table?: Table; readonly tables?: readonly Table[] | 'all' }
  const named = [tables ?? table ?? 'all'].flat()
  return named.map((one) => (typeof one === 'string' ? one : display(one))).join(', ')
}

function digestOf(command: CallName, options: object): string {
  return createHash('sha256')
    .update(canonicalJson([command, toStored(options)]))
    .digest('hex')
}

function edited(
  { name, position }: CallPlace,
  before: Pick<MigrationCall, 'command' | 'table'>,
  now: Pick<MigrationCall, 'command' | 'table'>,
): EbbError {
  const was = `${before.command} ${before.table}`
  const is = `${now.command} ${now.table}`
  return new EbbError(
    `migration ${name} has been changed since it was begun: its call ${position + 1}, ${was}, is done, and is now ${was === is ? 'made with other options' : is}`,
    {
      state: NOTHING_CHANGED,
      next: 'Restore that part of the file, and put what is to be done further into the next migration; or take it back first: ebb migrate down.',
    },
    'usage',
  )
}
