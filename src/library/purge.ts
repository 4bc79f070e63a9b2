import { readMarkedCondition } from '../engine/purge/marked.ts'
import { DEADLINE_MS, purge as command, type PurgeResult } from '../engine/commands/purge.ts'
import { UsageError } from '../errors.ts'
import { parseInterval } from '../grid/interval.ts'
import type { PurgePlan, PurgeRequest } from '../plan/purge/purge.ts'
import { nonEmpty } from './checks.ts'
import { callOf } from './call.ts'
import { targetOf, writtenName, type Database, type Table } from './database.ts'
import { complete, type Options, type PaceOptions } from './options.ts'

/** Which rows go, and what may go with them. */
export interface PurgeOptions extends Options {
  readonly table: Table
  readonly pace?: PaceOptions
  /** The rows to delete, as after WHERE; `now()` is fixed once, at the start. One of `where`, `candidates` and `marked` is given. */
  readonly where?: string
  /** The rows of a candidate set that have not changed since; who wants them gone is kept with the run. */
  readonly candidates?: { readonly set: number | bigint; readonly approvedBy?: string; readonly ticket?: string }
  /** The rows that `mark` has marked in a column, if need be only those marked longer ago. */
  readonly marked?: { readonly column: string; readonly olderThan?: string }
  /** Without it nothing is deleted: there are no archives yet. */
  readonly noArchive?: boolean
  /** Rows of other tables that refer to them go, too. Without it, rows that are referred to stay. */
  readonly cascade?: boolean
  /** Tables no row of which is to be touched: what leads to one stays, and is reported. */
  readonly protect?: readonly Table[]
  /** Goes along an index that begins with this column. */
  readonly orderBy?: string
  /** It is meant if the condition is true of every row. */
  readonly allRows?: boolean
  /** Vacuums and analyses what was touched, afterwards; true by default. */
  readonly vacuum?: boolean
  /** How long to come back for rows that others hold locked; a minute by default. */
  readonly deadlineMs?: number
}

/**
 * Deletes rows in batches, each one short transaction; called again after an
 * interruption it goes on where it was.
 *
 * @throws {ObjectionsError} with `execute`, when there are reasons not to start; without, they are in the plan
 */
export const purge = callOf<PurgeOptions, PurgeRequest, PurgePlan, PurgeResult>(
  command,
  async (options, database) => ({ ...purgeRequest(options), ...(await whichRows(database, options)) }),
  (options) => complete({ deadlineMs: DEADLINE_MS, ...options }),
)

/** All of a request but which rows are meant. */
export function purgeRequest(
  options: Omit<PurgeOptions, 'where' | 'candidates' | 'marked'>,
): Omit<PurgeRequest, 'where'> {
  const { noArchive = false, orderBy = null, allRows = false, vacuum = true } = options
  const { cascade = false, protect = [], accept = [] } = options
  return { noArchive, orderBy, allRows, vacuum, cascade, protect: protect.map(writtenName), accept }
}

async function whichRows(
  database: Database,
  { table, where, candidates, marked }: PurgeOptions,
): Promise<Pick<PurgeRequest, 'where' | 'candidates'>> {
  if ([where, candidates, marked].filter((one) => one !== undefined).length !== 1)
    throw new UsageError('one of where, candidates and marked says which rows are meant', 'Give one of them.')
  if (candidates !== undefined) {
    const { set, approvedBy = null, ticket = null } = candidates
    return { where: '', candidates: { set: String(set), approvedBy, ticket } }
  }
  if (marked !== undefined) {
    const olderThan = marked.olderThan === undefined ? null : parseInterval(marked.olderThan)
    return { where: await readMarkedCondition(targetOf(database), writtenName(table), { ...marked, olderThan }) }
  }
  return { where: nonEmpty(where ?? '') }
}
