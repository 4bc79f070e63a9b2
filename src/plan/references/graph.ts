import type { GraphReference, GraphTable, ReferenceGraph } from '../../catalog/references/reference-graph.ts'

/**
 * What happens to the rows that reference a deleted row:
 *
 *   - `followed`: they are deleted with it.
 *   - `held`: the row they reference is kept.
 *   - `protected`: the same, because they must not be touched at all.
 *   - `set null`, `set default`: PostgreSQL changes them.
 *   - `subtree`: the same table again, below the root: dependents of a deleted row are deleted with it.
 *   - `self`: rows of the root. They are deleted if they are chosen themselves; if not, the row they reference is kept.
 *   - `cycle`: it leads back to a table above. Not followed: the constraint itself decides.
 */
export type Fate = 'followed' | 'held' | 'protected' | 'set null' | 'set default' | 'subtree' | 'self' | 'cycle'

/** A foreign key, as it is met on the way down from the root. */
export interface WalkedReference {
  readonly reference: GraphReference
  readonly from: GraphTable
  readonly to: GraphTable
  /** 0 where it points at the root. */
  readonly depth: number
  readonly fate: Fate
  /** It leads to a table whose own references are met elsewhere in the walk. */
  readonly again: boolean
}

/** What is decided about a foreign key itself, wherever it occurs in the walk. */
export type Ruling = Exclude<Fate, 'subtree' | 'self' | 'cycle'>

/**
 * Walks down from the root along the references that are followed, each table
 * but once. Those of the walk that are followed make no cycle.
 */
export function walkReferences(
  graph: ReferenceGraph,
  rule: (reference: GraphReference) => Ruling,
): readonly WalkedReference[] {
  const tables = new Map(graph.tables.map((table) => [table.oid, table]))
  const walked: WalkedReference[] = []
  const seen = new Set<string>()

  const visit = (to: GraphTable, path: readonly string[]): void => {
    seen.add(to.oid)
    for (const reference of graph.references.filter((one) => one.to === to.oid)) {
      const from = known(tables, reference.from)
      const fate = fateOf(reference, rule(reference), [...path, to.oid])
      const again = fate === 'followed' && seen.has(from.oid)
      walked.push({ reference, from, to, depth: path.length, fate, again })
      if (fate === 'followed' && !again) visit(from, [...path, to.oid])
    }
  }
  visit(graph.root, [])
  return walked
}

function fateOf({ from, to }: GraphReference, ruling: Ruling, path: readonly string[]): Fate {
  const [root] = path
  if (ruling !== 'followed' && ruling !== 'held') return ruling
  if (from === root && to === root) return 'self'
  if (from === to && ruling === 'followed') return 'subtree'
  return path.includes(from) ? 'cycle' : ruling
}

/**
 * The tables from which rows are deleted, each before all that reference it. In
 * reverse it is the usual order of deletion: children first.
 */
export function parentsFirst(root: GraphTable, walked: readonly WalkedReference[]): readonly GraphTable[] {
  const followed = walked.filter(({ fate }) => fate === 'followed')
  const childrenFirst: GraphTable[] = []
  const visit = (table: GraphTable): void => {
    if (childrenFirst.some(({ oid }) => oid === table.oid)) return
    for (const { from, to } of followed) if (to.oid === table.oid) visit(from)
    childrenFirst.push(table)
  }
  visit(root)
  return childrenFirst.toReversed()
}

function known(tables: ReadonlyMap<string, GraphTable>, oid: string): GraphTable {
  const table = tables.get(oid)
  if (table === undefined) throw new Error(`no table ${oid} in the graph`)
  return table
}
