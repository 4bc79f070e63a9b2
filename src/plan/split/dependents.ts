import type { OwnPart } from '../../catalog/partitions/own-parts.ts'
import type { Index, TableModel } from '../../catalog/table/table-model.ts'
import { display } from '../../sql/names.ts'
import { DEPENDENTS, type DependentKind } from '../table/dependents.ts'
import { describeGrant } from '../table/fact.ts'
import { commonParts } from '../table/own-parts.ts'
import type { SplitSituation } from './situation.ts'
import type { DependentObject } from '../language/step.ts'

type Tables = Pick<SplitSituation, 'parent' | 'wide'>

const SAME = 'the same on the new partitions, for all have it'

/** What becomes of the dependent objects of the partitioned table, and of those of the wide partition alone. */
export function splitDependents({ parent, wide, set }: Tables & Pick<SplitSituation, 'set'>): DependentObject[] {
  const common = commonParts(set)
  const own = ownFates({ parent, wide }).filter(({ name }) => !common.some((part) => name === nameOfPart(part)))
  const given = common.map((part): DependentObject => ({ name: nameOfPart(part), outcome: 'carried', how: SAME }))
  return [...carriedFates({ parent, wide }), ...keptFates(parent), ...given, ...own]
}

const KINDS = Object.keys(DEPENDENTS) as DependentKind[]

/** What partitions have of the table. */
const OF_PARTITIONS: readonly DependentKind[] = ['columns', 'indexes', 'constraints', 'triggers']

function namesOf(table: TableModel, kinds: readonly DependentKind[]): string[] {
  return kinds
    .flatMap((kind) => DEPENDENTS[kind].fates(table, { history: null, primaryKey: null, partitioned: true }))
    .map(({ name }) => name)
}

/** What a partition has of the table, the new ones too. */
function carriedFates({ parent, wide }: Tables): DependentObject[] {
  const some = (names: string[], outcome: DependentObject['outcome'], how: string) =>
    names.map((name) => ({ name, outcome, how }))
  const { constraints } = parent
  const foreign = constraints.filter(({ type }) => type === 'foreign key')
  const checks = constraints.filter(({ type }) => type === 'check')
  return [
    ...some(namesOf(parent, ['columns']), 'carried', 'by LIKE, to the new partitions'),
    ...some(
      namesOf(parent, ['indexes']),
      'rebuilt',
      'built on the new partitions once the rows are there, and adopted by the table’s',
    ),
    ...some(namesOf({ ...parent, constraints: checks }, ['constraints']), 'carried', 'the same on the new partitions'),
    ...some(
      namesOf({ ...parent, constraints: foreign }, ['constraints']),
      'carried',
      `made on the new partitions beforehand, and taken off ${display(wide.name)}, whose rows are no longer visible`,
    ),
    ...some(
      namesOf(triggersOf(parent, true), ['triggers']),
      'carried',
      'the same on the new partitions, in the state it is in',
    ),
  ]
}

/** What belongs to the table as a whole, which stays what it is. */
function keptFates(parent: TableModel): DependentObject[] {
  const kept = namesOf(
    triggersOf(parent, false),
    KINDS.filter((kind) => kind === 'triggers' || !OF_PARTITIONS.includes(kind)),
  )
  return kept.map((name) => ({
    name,
    outcome: 'kept',
    how: `the table itself stays what it is${name.startsWith('owner ') ? '; the new partitions can be reached through it only' : ''}`,
  }))
}

function triggersOf(table: TableModel, perRow: boolean): TableModel {
  return { ...table, triggers: table.triggers.filter((trigger) => trigger.perRow === perRow) }
}

/** Objects that were created on this one partition: the new ones do not get them. */
function ownFates({ parent, wide }: Tables): DependentObject[] {
  const grants = wide.grants.filter(
    (one) => !parent.grants.some((other) => describeGrant(one) === describeGrant(other)),
  )
  const indexes = wide.indexes.filter((index) => !parent.indexes.some((one) => alike(index, one)))
  const others = KINDS.filter((kind) => !['owner', 'sequences', 'indexes'].includes(kind))
  const known = new Set(namesOf(parent, others))
  return [
    ...grants.map((grant) => `grant ${describeGrant(grant)}`),
    ...namesOf({ ...wide, indexes }, ['indexes']),
    ...namesOf(wide, others).filter((name) => !known.has(name)),
  ].map((name) => ({
    name,
    outcome: 'kept',
    how: `on ${display(wide.name)} only, which becomes a table of its own; the new partitions are without`,
  }))
}

/** As it is called among what the wide partition has by itself. */
function nameOfPart(part: OwnPart): string {
  if (part.kind === 'grant') return `grant ${describeGrant(part.grant)}`
  return ['primary key', 'unique', 'exclusion'].includes(part.kind)
    ? `constraint ${part.name}`
    : `${part.kind} ${part.name}`
}

/** Whether one can be the part of the other: PostgreSQL pairs them by what they index, not by name. */
function alike(one: Index, other: Index): boolean {
  return one.tail === other.tail && one.unique === other.unique
}
