import type { TableModel } from '../../catalog/table/table-model.ts'
import { display, type TableName } from '../../sql/names.ts'
import type { DependentObject } from '../language/step.ts'
import { isOff, restoreConstraintTriggers } from './constraint-triggers.ts'
import * as definitions from './definitions.ts'
import {
  constraintFact,
  describeGrant,
  fact,
  functionFacts,
  inboundFact,
  indexFacts,
  sequenceFacts,
  triggerFacts,
  withoutProof,
  type Fact,
} from './fact.ts'
import { carried, indexFate, rebuilt, staysBehind, type Move } from './fates.ts'
import { addInboundKeys } from './inbound-keys.ts'
import { grants } from './privileges.ts'
import { sequences } from './sequences.ts'

// The one list of a table's dependent objects. Each exchange of names (a conversion, a copy, and the rollback of either) goes
// through all of it: what becomes of a kind is said here once for all of them, or does not compile.

/** The names that a table's things take when another table takes theirs. */
export interface AsideNames {
  readonly indexes: Readonly<Record<string, string>>
  readonly statistics: Readonly<Record<string, string>>
  /** Of identity columns. */
  readonly sequences: Readonly<Record<string, string>>
}

/** A table that has given up its name, to be called `place`. */
export interface Leaving {
  readonly table: TableModel
  readonly place: TableName
  readonly names: AsideNames
  /** Its foreign keys stay with it: in a conversion they become parts of the parent's. */
  readonly keepsForeignKeys: boolean
}

/** A table that has taken the name. */
export interface Taking {
  /** What it is to be. */
  readonly table: TableModel
  readonly from: Leaving
  /** Other tables that hold its rows. */
  readonly parts: readonly TableName[]
  readonly role: string
  /** What each way builds by itself. */
  readonly indexes: readonly string[]
  readonly foreignKeys: readonly string[]
}

/** A table that takes back the name that it had. */
export interface Returning extends Omit<Taking, 'indexes'> {
  /** What its things have been called meanwhile. */
  readonly names: AsideNames
}

interface Dependent {
  /** What is compared before the commit. */
  readonly facts: (table: TableModel) => readonly Fact[]
  /** For people. */
  readonly fates: (table: TableModel, move: Move) => readonly DependentObject[]
  /** Taken from the table that leaves, or out of the way of who has the name next. */
  readonly aside: (leaving: Leaving) => readonly string[]
  readonly made: (taking: Taking) => readonly string[]
  readonly back: (returning: Returning) => readonly string[]
  /** Made before a conversion attaches the rows. */
  readonly beforeRows?: true
}

/** What a table is itself, and what it may not have (see objections/table.ts). */
type Apart =
  | 'oid'
  | 'name'
  | 'kind'
  | 'tablespace'
  | 'accessMethod'
  | 'typed'
  | 'partitionOf'
  | 'estimatedRows'
  | 'size'
  | 'partitionKey'
  | 'defaultGrantees'
  | 'baseTypes'
  | 'wholeRows'
  | 'ownNames'
  | 'identityUsers'
  | 'inheritsFrom'
  | 'inheritedBy'
  | 'extension'
  | 'securityLabels'
  | 'subscriptions'

export type DependentKind = Exclude<keyof TableModel, Apart>

const nothing = () => []

/** Comes with the table when that is created, and stays with it. */
const ofTheTable = { aside: nothing, made: nothing, back: nothing }

/** Belongs to the table that has the name: created again there, and by a rollback. */
const ofTheName = (aside: Dependent['aside'], made: (taking: Omit<Taking, 'indexes'>) => readonly string[]) => ({
  aside,
  made,
  back: made,
})

/** Made on a new table; one that comes back has kept it. */
const ofEither = (made: Dependent['made']) => ({ aside: nothing, made, back: nothing })

/** In the order in which they are made; they are set aside in the opposite order. */
export const DEPENDENTS = {
  columns: {
    facts: ({ columns }) => columns.map((column, position) => fact(`column ${column.name}`, { position, ...column })),
    fates: ({ columns }) => [
      carried(`${columns.length} columns with defaults, comments and statistics targets`, 'by LIKE'),
    ],
    ...ofTheTable,
  },
  owner: {
    facts: ({ owner }) => [fact('owner', owner)],
    fates: ({ owner, grants: given }, { partitioned }) => [
      carried(
        `owner ${owner} and ${given.length} grants`,
        partitioned
          ? 'the same on the new parent; new partitions can be reached through it only'
          : 'the same on the new table',
      ),
    ],
    ...ofTheTable,
  },
  persistence: {
    // Facts that are stored know of no other kind.
    facts: ({ persistence }) => (persistence === 'permanent' ? [] : [fact('persistence', persistence)]),
    fates: ({ persistence }) => (persistence === 'permanent' ? [] : [carried(persistence, 'as the table is')]),
    ...ofTheTable,
  },
  options: {
    // A partitioned table has none.
    facts: nothing,
    fates: (table, { history }) => (history === null ? [] : staysBehind(table, history)),
    ...ofTheTable,
  },
  grants: {
    facts: (table) => table.grants.map((grant) => fact(`grant ${describeGrant(grant)}`, String(grant.grantable))),
    fates: nothing, // told with the owner
    ...ofEither(({ table, role }) =>
      grants('table', table.name, { owner: table.owner, role }, table.grants, table.defaultGrantees),
    ),
    beforeRows: true,
  },
  // Before the rows: 17 and later refuse a partition that has an identity of its own.
  sequences: {
    facts: ({ sequences }) => sequences.flatMap(sequenceFacts),
    fates: ({ sequences }) =>
      sequences.map(({ name, identity }) =>
        carried(
          `sequence ${display(name)}`,
          identity ? 'a new one with its name, settings and position' : 'the same sequence, owned by the new table',
        ),
      ),
    ...ofTheName(nothing, ({ table, from, role }) => sequences(table, from.place, from.names.sequences, role)),
    beforeRows: true,
  },
  // Before the rows: those that the history has are adopted then, and none is built.
  indexes: {
    facts: ({ indexes }) => indexes.flatMap(indexFacts),
    fates: ({ indexes }, move) => indexes.map((index) => indexFate(index, move)),
    aside: ({ table, names }) => definitions.renameIndexes(table.name.schema, Object.entries(names.indexes)),
    made: ({ indexes }) => indexes,
    back: ({ table, names }) =>
      definitions.renameIndexes(
        table.name.schema,
        Object.entries(names.indexes).map(([name, other]) => [other, name]),
      ),
    beforeRows: true,
  },
  // In a copy they move with the name: rows of the retired table must not keep referenced rows from being deleted.
  constraints: {
    facts: (table) =>
      table.constraints.map((one) => constraintFact(isOff(table, one, table.name) ? withoutProof(one) : one)),
    fates: ({ constraints }) =>
      constraints
        .filter(({ type }) => type === 'check' || type === 'foreign key')
        .map(({ type, name }) => carried(`${type} ${name}`)),
    ...ofTheName(
      ({ table, place, keepsForeignKeys }) =>
        keepsForeignKeys ? [] : definitions.dropForeignKeys(place, definitions.foreignKeysOf(table)),
      ({ foreignKeys }) => foreignKeys,
    ),
    beforeRows: true,
  },
  // A row trigger of the same name on parent and partition is refused; attaching gives a partition the parent's.
  triggers: {
    facts: ({ triggers }) => triggers.flatMap((trigger) => triggerFacts(trigger)),
    fates: ({ triggers }) => triggers.map(({ name }) => carried(`trigger ${name}`)),
    ...ofTheName(
      ({ table, place }) => definitions.dropTriggers(place, table.triggers),
      ({ table: { name, triggers }, parts }) => [
        ...triggers.flatMap((trigger) => definitions.trigger(name, trigger)),
        ...triggers.flatMap((trigger) => definitions.triggerState(trigger.perRow ? [name, ...parts] : [name], trigger)),
      ],
    ),
  },
  rowSecurity: {
    facts: ({ rowSecurity }) => [fact('row-level security', rowSecurity)],
    fates: nothing,
    ...ofEither(({ table }) => definitions.rowSecurity(table.name, table.rowSecurity)),
  },
  policies: {
    facts: ({ policies }) => policies.map((policy) => fact(`policy ${policy.name}`, policy)),
    fates: ({ policies }) => policies.map(({ name }) => carried(`policy ${name}`)),
    ...ofEither(({ table }) => definitions.policies(table)),
  },
  rules: {
    facts: ({ rules }) => rules.map((rule) => fact(`rule ${rule.name}`, rule)),
    fates: ({ rules }) => rules.map(({ name }) => carried(`rule ${name}`)),
    ...ofEither(({ table }) => definitions.rules(table)),
  },
  statistics: {
    facts: ({ statistics }) => statistics.map((one) => fact(`statistics ${display(one.name)}`, one)),
    fates: ({ statistics }) => statistics.map(({ name }) => carried(`statistics ${display(name)}`)),
    aside: ({ table, names }) =>
      definitions.renameStatistics(table.statistics.map(({ name }) => [name, names.statistics[name.name] ?? ''])),
    made: ({ table, role }) => definitions.statistics(table, role),
    back: ({ table, names }) =>
      definitions.renameStatistics(
        table.statistics.map(({ name }) => [{ ...name, name: names.statistics[name.name] ?? '' }, name.name]),
      ),
  },
  replicaIdentity: {
    facts: ({ replicaIdentity }) => [fact('replica identity', replicaIdentity)],
    fates: nothing,
    ...ofEither(({ table }) =>
      definitions.replicaIdentity(
        table.name,
        table,
        table.indexes.find(({ replicaIdentity }) => replicaIdentity)?.name ?? null,
      ),
    ),
  },
  comment: {
    facts: ({ comment }) => [fact('comment', comment)],
    fates: nothing,
    ...ofEither(({ table }) => definitions.tableComment(table)),
  },
  publications: {
    facts: ({ publications }) => publications.map((one) => fact(`publication ${one.name} (${one.covers})`, one)),
    fates: ({ publications }) =>
      publications
        .filter(({ covers }) => covers === 'table')
        .map(({ name }) => carried(`publication ${name}`, 'the new table replaces the retired one')),
    ...ofTheName(
      ({ table, place }) => definitions.unpublish(place, table.publications),
      ({ table }) => definitions.publish(table.name, table.publications),
    ),
  },
  views: {
    facts: ({ views }) => views.map((view) => fact(`view ${display(view.name)}`, view)),
    fates: ({ views }) =>
      views.map(({ name }) =>
        rebuilt(`view ${display(name)}`, 'create or replace: same identity, grants and views on top'),
      ),
    ...ofTheName(nothing, ({ table }) => definitions.views(table)),
  },
  functions: {
    facts: ({ functions }) => functions.flatMap(functionFacts),
    fates: ({ functions }) =>
      functions.map(({ signature }) =>
        rebuilt(`function ${signature}`, 'create or replace: its body is bound to the table'),
      ),
    ...ofTheName(nothing, ({ table }) => definitions.functions(table)),
  },
  otherRules: {
    facts: ({ otherRules = [] }) =>
      otherRules.map(({ of, ofKind: _, owner: _owner, ...rule }) => fact(`rule ${rule.name} on ${display(of)}`, rule)),
    fates: ({ otherRules = [] }) =>
      otherRules.map(({ of, name }) =>
        rebuilt(`rule ${name} on ${display(of)}`, 'create or replace: it is bound to the table'),
      ),
    ...ofTheName(nothing, ({ table }) => definitions.otherRules(table)),
  },
  otherPolicies: {
    facts: ({ otherPolicies = [] }) =>
      otherPolicies.map(({ of, ofKind: _, owner: _owner, ...policy }) =>
        fact(`policy ${policy.name} on ${display(of)}`, policy),
      ),
    fates: ({ otherPolicies = [] }) =>
      otherPolicies.map(({ of, name }) =>
        rebuilt(`policy ${name} on ${display(of)}`, 'altered to what it is: its condition is bound to the table'),
      ),
    ...ofTheName(nothing, ({ table }) => definitions.otherPolicies(table)),
  },
  otherTriggers: {
    facts: ({ otherTriggers = [] }) =>
      otherTriggers.flatMap(({ of, ofKind: _, owner: _owner, ...trigger }) =>
        triggerFacts(trigger, `trigger ${trigger.name} on ${display(of)}`),
      ),
    fates: ({ otherTriggers = [] }) =>
      otherTriggers.map(({ of, name }) =>
        rebuilt(`trigger ${name} on ${display(of)}`, 'dropped and created again, FROM the new table'),
      ),
    ...ofTheName(
      ({ table }) => definitions.dropOtherTriggers(table),
      ({ table }) => definitions.otherTriggers(table),
    ),
  },
  // Last, for they need a key; and first to go, or detaching would look for rows that refer to the partition, and refuse.
  inboundForeignKeys: {
    facts: (table) => table.inboundForeignKeys.map(inboundFact),
    fates: (table) =>
      table.inboundForeignKeys.map((key) =>
        rebuilt(
          `foreign key ${display(key.table)}.${key.name}`,
          'pointed at the new table, NOT VALID in the swap and validated afterwards while the table is in use',
        ),
      ),
    ...ofTheName(
      ({ table }) => table.inboundForeignKeys.flatMap((key) => definitions.dropForeignKeys(key.table, [key])),
      ({ table }) => addInboundKeys(table.inboundForeignKeys),
    ),
  },
  // After all foreign keys.
  constraintTriggers: {
    facts: ({ constraintTriggers = [] }) =>
      constraintTriggers.map(({ constraint, of, function: name, enabled }) =>
        fact(`${name} of constraint ${constraint} of ${display(of)}`, enabled),
      ),
    fates: ({ constraintTriggers = [] }) =>
      constraintTriggers.map(({ constraint, of, enabled }) =>
        carried(
          `state of the triggers of ${constraint} of ${display(of)}`,
          `${enabled}; switched off, it is not validated`,
        ),
      ),
    ...ofTheName(nothing, ({ table }) => restoreConstraintTriggers(table.constraintTriggers ?? [])),
  },
  // Of these there must be none; see objections/table.ts.
  exceptedFrom: {
    facts: ({ exceptedFrom }) => exceptedFrom.map((name) => fact(`publication ${name}`, 'of all tables but this one')),
    fates: nothing,
    ...ofTheTable,
  },
  otherDependents: {
    facts: (table) => table.otherDependents.map((other) => fact(`dependent ${other.description}`, other.because)),
    fates: nothing,
    ...ofTheTable,
  },
} satisfies Record<DependentKind, Dependent>

export const ALL: readonly Dependent[] = Object.values(DEPENDENTS)

/** The dependent objects are dropped or renamed. */
export function setAside(leaving: Leaving): string[] {
  return ALL.toReversed().flatMap((one) => one.aside(leaving))
}

/** The new table gets what the other one had. */
export function make(taking: Taking): string[] {
  return ALL.flatMap((one) => one.made(taking))
}

/** The same in two parts, before and after rows are attached. */
export function makeAround(taking: Taking): { readonly before: string[]; readonly after: string[] } {
  return {
    before: ALL.filter(({ beforeRows }) => beforeRows).flatMap((one) => one.made(taking)),
    after: ALL.filter(({ beforeRows }) => !beforeRows).flatMap((one) => one.made(taking)),
  }
}

/** The table gets back what it had. */
export function giveBack(returning: Returning): string[] {
  return ALL.flatMap((one) => one.back(returning))
}

/** What becomes of each dependent object of a table, as text. */
export function dependentsOf(table: TableModel, move: Move): DependentObject[] {
  return ALL.flatMap((one) => one.fates(table, move))
}
