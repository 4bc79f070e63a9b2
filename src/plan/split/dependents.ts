import type { OwnPart } from '../../catalog/partitions/own-parts.ts'
import type { Constraint, Index, TableModel } from '../../catalog/table/table-model.ts'
import { display } from '../../sql/names.ts'
import { describeGrant } from '../table/facts.ts'
import { commonParts } from '../table/own-parts.ts'
import { foreignKeysOf } from '../table/shadow.ts'
import type { SplitSituation } from './situation.ts'
import type { DependentObject } from '../language/step.ts'

type Tables = Pick<SplitSituation, 'parent' | 'wide'>

const SAME = 'the same on the new partitions, for all have it'

/** What becomes of everything that hangs on the partitioned table, and on the wide partition by itself. */
export function splitDependents({ parent, wide, set }: Tables & Pick<SplitSituation, 'set'>): DependentObject[] {
  const common = commonParts(set)
  const own = ownFates({ parent, wide }).filter(({ name }) => !common.some((part) => name === nameOfPart(part)))
  const given = common.map((part) => fate(nameOfPart(part), 'carried', SAME))
  return [...carriedFates({ parent, wide }), ...keptFates(parent), ...given, ...own]
}

/** What a partition has of the table, the new ones too. */
function carriedFates({ parent, wide }: Tables): DependentObject[] {
  return [
    fate(`${parent.columns.length} columns with defaults and comments`, 'carried', 'by LIKE, to the new partitions'),
    ...parent.indexes.map((index) =>
      fate(
        nameOf(index),
        'rebuilt',
        'built anew on the new partitions once the rows are there, and adopted by the table’s',
      ),
    ),
    ...checksOf(parent).map(({ name }) => fate(`check ${name}`, 'carried', 'the same on the new partitions')),
    ...foreignKeysOf(parent).map(({ name }) =>
      fate(
        `foreign key ${name}`,
        'carried',
        `made on the new partitions beforehand, and taken off ${display(wide.name)}, whose rows nobody sees any more`,
      ),
    ),
    ...parent.triggers
      .filter(({ perRow }) => perRow)
      .map(({ name }) => fate(`trigger ${name}`, 'carried', 'the same on the new partitions, in the state it is in')),
  ]
}

/** What belongs to the table as a whole, which stays what it is. */
function keptFates(parent: TableModel): DependentObject[] {
  const kept = (thing: string) => fate(thing, 'kept', 'the table itself stays what it is')
  return [
    fate(
      `owner ${parent.owner} and ${parent.grants.length} grants`,
      'kept',
      'the table itself stays what it is; the new partitions can be reached through it only',
    ),
    ...parent.triggers.filter(({ perRow }) => !perRow).map(({ name }) => kept(`trigger ${name}`)),
    ...parent.sequences.map(({ name }) => kept(`sequence ${display(name)}`)),
    ...parent.policies.map(({ name }) => kept(`policy ${name}`)),
    ...parent.rules.map(({ name }) => kept(`rule ${name}`)),
    ...parent.statistics.map(({ name }) => kept(`statistics ${display(name)}`)),
    ...parent.publications.filter(({ covers }) => covers === 'table').map(({ name }) => kept(`publication ${name}`)),
    ...parent.views.map(({ name }) => kept(`view ${display(name)}`)),
    ...parent.functions.map(({ signature }) => kept(`function ${signature}`)),
  ]
}

/** What somebody has put on this one partition: the new ones do not get it. */
function ownFates({ parent, wide }: Tables): DependentObject[] {
  const own = (thing: string) =>
    fate(
      thing,
      'kept',
      `on ${display(wide.name)} only, which becomes a table of its own; the new partitions are without`,
    )
  const others = <Part extends { readonly name: string }>(parts: readonly Part[], known: readonly Part[]) =>
    parts.filter(({ name }) => !known.some((one) => one.name === name))
  const grants = wide.grants.filter(
    (one) => !parent.grants.some((other) => describeGrant(one) === describeGrant(other)),
  )
  return [
    ...grants.map((grant) => own(`grant ${describeGrant(grant)}`)),
    ...wide.indexes.filter((index) => !parent.indexes.some((one) => alike(index, one))).map((one) => own(nameOf(one))),
    ...others(checksOf(wide), checksOf(parent)).map(({ name }) => own(`check ${name}`)),
    ...others(foreignKeysOf(wide), foreignKeysOf(parent)).map(({ name }) => own(`foreign key ${name}`)),
    ...others(wide.triggers, parent.triggers).map(({ name }) => own(`trigger ${name}`)),
    ...others(wide.policies, parent.policies).map(({ name }) => own(`policy ${name}`)),
    ...others(wide.rules, parent.rules).map(({ name }) => own(`rule ${name}`)),
    ...wide.statistics.map(({ name }) => own(`statistics ${display(name)}`)),
    ...others(wide.publications, parent.publications)
      .filter(({ covers }) => covers === 'table')
      .map(({ name }) => own(`publication ${name}`)),
  ]
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

function nameOf({ name, constraint }: Index): string {
  return constraint === null ? `index ${name}` : `constraint ${name}`
}

function checksOf(table: TableModel): Constraint[] {
  return table.constraints.filter(({ type }) => type === 'check')
}

function fate(thing: string, what: DependentObject['outcome'], how: string): DependentObject {
  return { name: thing, outcome: what, how }
}
