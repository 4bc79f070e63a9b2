import { display } from '../sql/names.ts'
import type { Cascade } from '../plan/cascade.ts'
import type { Fate, WalkedReference } from '../plan/reference-graph.ts'

/**
 * What refers to the rows of a table, as a tree with the fate of each reference,
 * and the order in which rows go. Nothing where nothing refers to it.
 */
export function describeReferences(cascade: Cascade): string[] {
  const { walked, emptied, root } = cascade
  if (walked.length === 0) return []
  const order = emptied.toReversed().map(({ name }) => display(name))
  return [
    display(root.name),
    ...walked.map(describeOne),
    ...(order.length === 1 ? [] : ['', `rows go in this order, in one statement: ${order.join(' → ')}`]),
  ]
}

function describeOne({ reference, from, to, depth, fate, again }: WalkedReference): string {
  const columns = reference.pairs.map(({ referring }) => referring).join(', ')
  const further = again ? '; see above' : ''
  return `${'  '.repeat(depth + 1)}← ${display(from.name)} (${columns}), on delete ${reference.onDelete}: ${FATES[fate](display(to.name))}${further}`
}

const FATES: Readonly<Record<Fate, (to: string) => string>> = {
  followed: () => 'its rows go too',
  held: (to) => `rows of ${to} it refers to stay`,
  protected: () => 'protected, what leads to its rows stays',
  'set null': () => 'PostgreSQL sets the column to null',
  'set default': () => 'PostgreSQL sets the column to its default',
  self: (to) => `a row of ${to} stays while one that stays refers to it`,
  cycle: () => 'closes a cycle and is not followed; a row it refuses to let go stays',
}
