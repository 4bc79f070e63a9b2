import type { GraphTable } from '../../catalog/references/reference-graph.ts'
import { display, quoted } from '../../sql/names.ts'
import { ident } from '../../sql/sql.ts'
import type { Cascade } from './cascade.ts'
import type { WalkedReference } from './graph.ts'
import { helperOffer } from './helper-index.ts'
import { lookUpCost, slowLookUp, type LookUpCost } from './look-up-cost.ts'
import { shellWord } from '../../text/shell-word.ts'
import type { Objection } from '../language/step.ts'
import { NOT_ANALYZED, showAbout, showDuration } from '../../text/units.ts'

/** Look-ups of a whole purge that take no longer are not worth a question, however long each takes. */
const TOLERATED_MS = 100

/**
 * Foreign keys that make each deleted row expensive, without those that will have an index.
 *
 * @param rows of the root that are to go; null where there are no statistics
 */
export function costObjections(cascade: Cascade, costs: readonly LookUpCost[], rows: number | null): Objection[] {
  const going = rows === null ? null : estimateGoing(cascade, rows)
  return cascade.walked.flatMap((one) => {
    const cost = slowLookUp(one, costs)
    const deleted = going?.get(one.to.oid) ?? rows
    return cost === undefined || isTolerated(cost, deleted) ? [] : [objection(one, cost, deleted)]
  })
}

function isTolerated({ milliseconds, atLeast }: LookUpCost, rows: number | null): boolean {
  return !atLeast && rows !== null && milliseconds * rows <= TOLERATED_MS
}

/** The total time of a purge's look-ups, in seconds. A lower bound where a measurement timed out. */
export function lookUpSeconds(cascade: Cascade, costs: readonly LookUpCost[], rows: number): number {
  const going = estimateGoing(cascade, rows)
  return cascade.walked.reduce((sum, one) => {
    const cost = lookUpCost(one, costs)
    return cost === undefined || one.again ? sum : sum + (cost.milliseconds * (going.get(one.to.oid) ?? rows)) / 1000
  }, 0)
}

function objection(one: WalkedReference, cost: LookUpCost, rows: number | null): Objection {
  const { reference, from, to } = one
  const columns = reference.pairs.map(({ referring }) => referring)
  const code = `unindexed:${display(from.name)}.${reference.name}`
  return {
    code,
    what:
      `no index of ${display(from.name)} begins with ${columns.join(', ')}, so each row deleted from ${display(to.name)} costs ` +
      `${cost.atLeast ? 'more than ' : ''}${showMilliseconds(cost.milliseconds)} (${reference.name}, measured), ${inTotal(cost, rows)}`,
    fix: [indexCure(from, columns), ...helperOffer(one), `Or accept this with --accept ${shellWord(code)}.`].join(' '),
    acceptable: true,
  }
}

function inTotal({ milliseconds, atLeast }: LookUpCost, rows: number | null): string {
  if (rows === null) return NOT_ANALYZED
  return `${atLeast ? 'at least' : 'about'} ${showDuration((milliseconds * rows) / 1000)} for ${showAbout(rows)}`
}

/** How to make an index of the table on these columns while it is in use, in a sentence. */
export function indexCure(
  { partitioned, name }: Pick<GraphTable, 'partitioned' | 'name'>,
  columns: readonly string[],
): string {
  const table = quoted(name).text
  const list = `(${columns.map((column) => ident(column).text).join(', ')})`
  if (!partitioned) return `Create one without blocking writes: create index concurrently on ${table} ${list};`
  return `Create one on each partition (create index concurrently on … ${list};), then create index on ${table} ${list};, which adopts them.`
}

/**
 * How many rows of each table go, by oid, as far as averages tell: where a table
 * has three rows for one of its parent, three go with each.
 */
export function estimateGoing({ root, emptied, walked }: Cascade, rows: number): ReadonlyMap<string, number> {
  const going = new Map([[root.oid, rows]])
  for (const table of emptied.slice(1)) {
    const sizes = walked
      .filter(({ from, fate }) => fate === 'followed' && from.oid === table.oid)
      .map(({ to }) => share(table.estimatedRows, to.estimatedRows) * (going.get(to.oid) ?? 0))
    going.set(table.oid, Math.min(Math.max(0, ...sizes), table.estimatedRows ?? Infinity))
  }
  return going
}

/** Rows of a child for one of its parent; one where nothing is known. */
function share(child: number | null, parent: number | null): number {
  return child === null || parent === null || parent === 0 ? 1 : child / parent
}

function showMilliseconds(milliseconds: number): string {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(0)} s`
  return `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`
}
