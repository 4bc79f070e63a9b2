import type { ReferenceGraph } from '../../catalog/references/reference-graph.ts'
import { display } from '../../sql/names.ts'
import { estimateGoing, indexCure } from '../references/cascade-cost.ts'
import { planCascade, type Cascade } from '../references/cascade.ts'
import { UNINDEXED_REFERENCE_SECONDS_PER_MILLION_ROWS } from './rates.ts'
import type { WalkedReference } from '../references/graph.ts'
import { shellWord } from '../../text/shell-word.ts'
import { showDuration } from '../../text/units.ts'
import { purgeCosts, type Quantities } from './way-costs.ts'

// The recommended purge: with the options that referencing rows require, and the cost of looking them up.

export interface AdvisedAround {
  /** For the command: `--cascade`, and the protected tables. */
  readonly words: readonly string[]
  readonly cascade: Cascade
}

/** References with on delete cascade are included in the options; those that prevent a delete are left as they are. */
export function adviseAround(graph: ReferenceGraph): AdvisedAround {
  const without = planCascade(graph, { cascade: false, protect: [] })
  if (!without.walked.some(({ reference, fate }) => fate === 'held' && reference.onDelete === 'cascade'))
    return { words: [], cascade: without }
  const followed = planCascade(graph, { cascade: true, protect: [] }).walked.filter(({ fate }) => fate === 'followed')
  const along = new Set(
    followed.filter(({ reference }) => reference.onDelete === 'cascade').map(({ from }) => from.oid),
  )
  const spared = new Map(followed.filter(({ from }) => !along.has(from.oid)).map(({ from }) => [from.oid, from.name]))
  const protect = [...spared.values()]
  return {
    words: ['--cascade', ...protect.map((name) => `--protect ${shellWord(display(name))}`)],
    cascade: planCascade(graph, { cascade: true, protect }),
  }
}

/** A foreign key without an index, which PostgreSQL checks for each deleted row. */
export interface MissingIndex {
  readonly walked: WalkedReference
  /** The total time of the lookups; rough. */
  readonly seconds: number
  /** The statement to create one. */
  readonly cure: string
}

/** @param rows of the root to be deleted */
export function missingIndexes({ cascade }: AdvisedAround, rows: number): MissingIndex[] {
  const going = estimateGoing(cascade, rows)
  return cascade.walked
    .filter(({ reference, again }) => !reference.indexed && !again)
    .map((walked) => {
      const { reference, from, to } = walked
      const each = ((from.estimatedRows ?? 0) / 1e6) * UNINDEXED_REFERENCE_SECONDS_PER_MILLION_ROWS
      const columns = reference.pairs.map(({ referring }) => referring)
      return { walked, seconds: each * (going.get(to.oid) ?? rows), cure: indexCure(from, columns) }
    })
}

export function secondsOf(missing: readonly MissingIndex[]): number {
  return missing.reduce((sum, { seconds }) => sum + seconds, 0)
}

/** An index pays if deleting takes several times as long without it. */
const SEVERAL = 3

/** The indexes to create before a purge, as sentences; none if they do not pay. */
export function indexesFirst(quantities: Quantities, missing: readonly MissingIndex[]): string[] {
  const without = purgeCosts(quantities, secondsOf(missing)).seconds
  const indexed = purgeCosts(quantities, 0).seconds
  const dear = missing.filter(({ seconds }) => seconds > indexed)
  if (dear.length === 0 || without < SEVERAL * indexed) return []
  const [indexes, them] = dear.length === 1 ? ['an index', 'it'] : ['indexes', 'them']
  return [
    `Create ${indexes}: without ${them} deleting takes ${showDuration(without)}, with ${them} ${showDuration(indexed)}.`,
    ...dear.map(({ cure }) => cure),
  ]
}
