import { display, quoted } from '../../sql/names.ts'
import type { GraphTable } from '../../catalog/references/reference-graph.ts'
import { distinctTables, type Cascade } from './cascade.ts'
import type { Fate, WalkedReference } from './graph.ts'
import type { Lock, VacuumStep } from '../language/step.ts'

/**
 * What references the rows of a table, as a tree with the treatment of each
 * reference, and the order of deletion. Empty where nothing references it.
 *
 * @param together in what a row and those that refer to it are deleted
 */
export function describeReferences(cascade: Cascade, together: 'statement' | 'transaction' = 'statement'): string[] {
  const { walked, emptied, root } = cascade
  if (walked.length === 0) return []
  const order = emptied.toReversed().map(({ name }) => display(name))
  return [
    `references to rows of ${display(root.name)}:`,
    ...walked.map(describeOne),
    ...(order.length === 1 ? [] : [`rows are deleted in this order, in one ${together}: ${order.join(' → ')}`]),
  ]
}

function describeOne({ reference, from, to, depth, fate, again }: WalkedReference): string {
  const columns = reference.pairs.map(({ referring }) => referring).join(', ')
  const further = again ? '; see above' : ''
  return `${'· '.repeat(depth)}← ${display(from.name)} (${columns}), on delete ${reference.onDelete}: ${FATES[fate](display(to.name))}${further}`
}

const FATES: Readonly<Record<Fate, (to: string) => string>> = {
  followed: () => 'its rows are deleted too',
  held: (to) => `rows of ${to} it references are kept`,
  protected: () => 'protected, rows leading to its rows are kept',
  'set null': () => 'PostgreSQL sets the column to null',
  'set default': () => 'PostgreSQL sets the column to its default',
  subtree: () => 'rows below a deleted one are deleted too',
  self: (to) => `a row of ${to} is kept while a kept row references it`,
  cycle: () => 'closes a cycle and is not followed; a row it keeps from being deleted stays',
}

/** The locks a batch takes on related tables. None of them blocks readers, or writers of other rows. */
export function cascadeLocks({ root, walked }: Cascade): Lock[] {
  const written = new Set<Fate>(['followed', 'subtree', 'set null', 'set default'])
  return distinctTables(walked.map(({ from }) => from))
    .filter(({ oid }) => oid !== root.oid)
    .map(({ oid, name }) => {
      const writes = walked.some(({ from, fate }) => from.oid === oid && written.has(fate))
      return { table: name, mode: writes ? 'ROW EXCLUSIVE' : 'ROW SHARE', blocks: 'nothing', held: 'milliseconds' }
    })
}

/** The tables from which rows are deleted, or in which they change, are vacuumed as well. */
export function cascadeVacuums(cascade: Cascade): VacuumStep[] {
  return touched(cascade)
    .filter(({ mayVacuum }) => mayVacuum)
    .map(({ oid, name }) => ({
      kind: 'vacuum',
      key: `vacuum ${oid}`,
      title: `vacuum and analyze ${display(name)}`,
      because: 'its rows are deleted with those they reference, or change',
      locks: [{ table: name, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'all along' }],
      cost: 'reads what has changed, at autovacuum speed; skipped where nothing has, or another vacuum is running',
      table: name,
      whole: false,
      statements: [`vacuum (analyze, truncate false, skip_locked) ${quoted(name).text}`],
    }))
}

export function cascadeNotes(cascade: Cascade): string[] {
  const foreign = touched(cascade).filter(({ mayVacuum }) => !mayVacuum)
  return foreign.length === 0
    ? []
    : [`${foreign.map(({ name }) => display(name)).join(', ')} will not be vacuumed: only the owner may`]
}

function touched({ root, walked }: Cascade): GraphTable[] {
  const dependents = new Set<Fate>(['followed', 'set null', 'set default'])
  return distinctTables(walked.filter(({ fate }) => dependents.has(fate)).map(({ from }) => from)).filter(
    ({ oid }) => oid !== root.oid,
  )
}
