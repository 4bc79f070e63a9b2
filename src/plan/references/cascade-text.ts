import { display, quoted } from '../../sql/names.ts'
import type { GraphTable } from '../../catalog/references/reference-graph.ts'
import { distinctTables, type Cascade } from './cascade.ts'
import type { Fate, WalkedReference } from './graph.ts'
import type { Lock, VacuumStep } from '../language/step.ts'

/**
 * What refers to the rows of a table, as a tree with the fate of each reference,
 * and the order in which rows go. Nothing where nothing refers to it.
 */
export function describeReferences(cascade: Cascade): string[] {
  const { walked, emptied, root } = cascade
  if (walked.length === 0) return []
  const order = emptied.toReversed().map(({ name }) => display(name))
  return [
    `refers to rows of ${display(root.name)}:`,
    ...walked.map(describeOne),
    ...(order.length === 1 ? [] : [`rows go in this order, in one statement: ${order.join(' → ')}`]),
  ]
}

function describeOne({ reference, from, to, depth, fate, again }: WalkedReference): string {
  const columns = reference.pairs.map(({ referring }) => referring).join(', ')
  const further = again ? '; see above' : ''
  return `${'· '.repeat(depth)}← ${display(from.name)} (${columns}), on delete ${reference.onDelete}: ${FATES[fate](display(to.name))}${further}`
}

const FATES: Readonly<Record<Fate, (to: string) => string>> = {
  followed: () => 'its rows go too',
  held: (to) => `rows of ${to} it refers to stay`,
  protected: () => 'protected, what leads to its rows stays',
  'set null': () => 'PostgreSQL sets the column to null',
  'set default': () => 'PostgreSQL sets the column to its default',
  subtree: () => 'rows that hang on one that goes go too',
  self: (to) => `a row of ${to} stays while one that stays refers to it`,
  cycle: () => 'closes a cycle and is not followed; a row it refuses to let go stays',
}

/** The locks that a batch takes on the tables around. None of them keeps readers or writers of other rows waiting. */
export function cascadeLocks({ root, walked }: Cascade): Lock[] {
  const written = new Set<Fate>(['followed', 'subtree', 'set null', 'set default'])
  return distinctTables(walked.map(({ from }) => from))
    .filter(({ oid }) => oid !== root.oid)
    .map(({ oid, name }) => {
      const writes = walked.some(({ from, fate }) => from.oid === oid && written.has(fate))
      return { table: name, mode: writes ? 'ROW EXCLUSIVE' : 'ROW SHARE', blocks: 'nothing', held: 'milliseconds' }
    })
}

/** The tables from which rows go, or in which they change, are to be vacuumed, too. */
export function cascadeVacuums(cascade: Cascade): VacuumStep[] {
  return touched(cascade)
    .filter(({ mayVacuum }) => mayVacuum)
    .map(({ oid, name }) => ({
      kind: 'vacuum',
      key: `vacuum ${oid}`,
      title: `vacuum and analyze ${display(name)}`,
      because: 'rows of it go with those they refer to, or change',
      locks: [{ table: name, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'all along' }],
      cost: 'reads what has changed, at the pace of an autovacuum; skipped where nothing has, or another vacuum is at work',
      table: name,
      whole: false,
      statements: [`vacuum (analyze, truncate false, skip_locked) ${quoted(name).text}`],
    }))
}

export function cascadeNotes(cascade: Cascade): string[] {
  const foreign = touched(cascade).filter(({ mayVacuum }) => !mayVacuum)
  return foreign.length === 0
    ? []
    : [`${foreign.map(({ name }) => display(name)).join(', ')} will not be vacuumed: that is its owner’s right`]
}

function touched({ root, walked }: Cascade): GraphTable[] {
  const dependents = new Set<Fate>(['followed', 'set null', 'set default'])
  return distinctTables(walked.filter(({ fate }) => dependents.has(fate)).map(({ from }) => from)).filter(
    ({ oid }) => oid !== root.oid,
  )
}
