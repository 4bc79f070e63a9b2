import type { Constraint, Grant, Index, OwnedSequence, TableModel } from '../../catalog/table/table-model.ts'
import { display } from '../../sql/names.ts'
import { canonicalJson } from '../language/stored.ts'
import type { Facts } from '../language/step.ts'

// A table as a list of comparable lines. Read before and after a swap from the
// same catalogue query, equal facts mean that what hung on the table still does.
// Left out is what cannot be equal: storage parameters and the cluster mark stay
// with the partitions, and whether an inbound foreign key is validated is settled later.

/** The facts of a table; `ours` names constraints, indexes and triggers that Ebb has put there itself. */
export function factsOf(table: TableModel, ours: readonly string[] = []): Facts {
  const own = new Set(ours)
  return Object.fromEntries([
    ['owner', table.owner],
    ['comment', show(table.comment)],
    ['row-level security', table.rowSecurity],
    ['replica identity', table.replicaIdentity],
    ...table.columns.map((column, position) => [`column ${column.name}`, show({ position, ...column })]),
    ...table.grants.map((grant) => [`grant ${describeGrant(grant)}`, String(grant.grantable)]),
    ...table.sequences.flatMap(sequenceFacts),
    ...table.constraints.filter(({ name }) => !own.has(name)).map((constraint) => constraintFact(constraint)),
    ...table.indexes.filter(({ name }) => !own.has(name)).map((index) => indexFact(index)),
    ...table.triggers.filter(({ name }) => !own.has(name)).map((trigger) => [`trigger ${trigger.name}`, show(trigger)]),
    ...table.policies.map((policy) => [`policy ${policy.name}`, show(policy)]),
    ...table.rules.map((rule) => [`rule ${rule.name}`, show(rule)]),
    ...table.statistics.map((statistics) => [`statistics ${display(statistics.name)}`, show(statistics)]),
    ...table.publications.map((publication) => [
      `publication ${publication.name} (${publication.covers})`,
      show(publication),
    ]),
    ...table.exceptedFrom.map((name) => [`publication ${name}`, 'of all tables but this one']),
    ...table.inboundForeignKeys.map(({ table: child, name, definition, comment }) => [
      `foreign key ${display(child)}.${name}`,
      show({ definition: withoutNotValid(definition), comment }),
    ]),
    ...table.views.map((view) => [`view ${display(view.name)}`, show(view)]),
    ...table.functions.map((body) => [`function ${body.signature}`, show(body)]),
    ...table.otherDependents.map((other) => [`dependent ${other.description}`, other.because]),
    ...(table.disabledConstraints ?? []).map(({ name, of, on }) => [
      `constraint ${name} of ${of}, on ${on}`,
      'disabled',
    ]),
  ]) as Facts
}

/** A difference between two lists of facts, for people. */
export interface Difference {
  readonly fact: string
  readonly before: string | null
  readonly after: string | null
}

/** What is in one list and not, or otherwise, in the other. Empty when nothing was lost, added or changed. */
export function compareFacts(before: Facts, after: Facts): Difference[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  return names
    .filter((fact) => before[fact] !== after[fact])
    .map((fact) => ({ fact, before: before[fact] ?? null, after: after[fact] ?? null }))
}

/** As what has happened already. */
export function describeChange({ fact, before, after }: Difference): string {
  if (after === null) return `${fact} is gone (${before})`
  if (before === null) return `${fact} is new (${after})`
  return `${fact} has changed from ${before} to ${after}`
}

/** As what would come of it. */
export function describeDifference({ fact, before, after }: Difference): string {
  if (after === null) return `${fact} would be gone (${before})`
  if (before === null) return `${fact} would be new (${after})`
  return `${fact} would change from ${before} to ${after}`
}

/** The key and the text of the fact about a constraint; the planner writes the one it expects in the same form. */
export function constraintFact(
  constraint: Pick<Constraint, 'name' | 'type' | 'definition' | 'validated' | 'comment'>,
): readonly [string, string] {
  const { name, type, definition, validated, comment } = constraint
  return [`constraint ${name}`, show({ type, definition, validated, comment })]
}

/** The index behind a constraint is described by the constraint. On a partitioned table PostgreSQL prints `ON ONLY`. */
function indexFact(index: Index): readonly [string, string] {
  const { name, definition, constraint, options, comment, statisticsTargets, replicaIdentity } = index
  const shape = constraint === null ? definition.replace(' ON ONLY ', ' ON ') : constraint
  return [`index ${name}`, show({ shape, options, comment, statisticsTargets, replicaIdentity })]
}

function sequenceFacts(sequence: OwnedSequence): [string, string][] {
  const { name, grants, defaultGrantees: _, ...rest } = sequence
  return [
    [`sequence ${display(name)}`, show(rest)],
    ...grants.map((grant): [string, string] => [
      `sequence ${display(name)} grant ${describeGrant(grant)}`,
      String(grant.grantable),
    ]),
  ]
}

/** For people, and to tell one grant from another. */
export function describeGrant({ column, privilege, grantee, grantor }: Grant): string {
  const what = column === null ? privilege : `${privilege} (${column})`
  return `${what} to ${grantee ?? 'PUBLIC'} by ${grantor}`
}

/** Whether an inbound foreign key has been validated is a matter of time, not of shape. */
export function withoutNotValid(definition: string): string {
  return definition.replace(/ NOT VALID$/, '')
}

// Keys in order: what comes back from the journal's jsonb has them in another one.
function show(value: unknown): string {
  return typeof value === 'string' ? value : canonicalJson(value)
}
