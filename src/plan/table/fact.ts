import type {
  Constraint,
  Grant,
  Index,
  InboundForeignKey,
  OwnedSequence,
  SqlFunction,
  Trigger,
} from '../../catalog/table/table-model.ts'
import { display } from '../../sql/names.ts'
import { canonicalJson } from '../language/stored.ts'

// One line about one thing of a table: what it is called, and everything that must be the same afterwards.

export type Fact = readonly [name: string, text: string]

export function fact(name: string, value: unknown): Fact {
  // Keys in order: what comes back from the journal's jsonb has them in another one.
  return [name, typeof value === 'string' ? value : canonicalJson(value)]
}

/** The planner writes the one that it expects in the same form. */
export function constraintFact(
  constraint: Pick<Constraint, 'name' | 'type' | 'definition' | 'validated' | 'comment'>,
): Fact {
  const { name, type, definition, validated, comment } = constraint
  return fact(`constraint ${name}`, { type, definition, validated, comment })
}

/** The index behind a constraint is described by the constraint. On a partitioned table PostgreSQL prints `ON ONLY`. */
export function indexFacts(index: Index): Fact[] {
  const { name, definition, constraint, options, extensions, comment, statisticsTargets, replicaIdentity, tablespace } =
    index
  const shape = constraint === null ? definition.replace(' ON ONLY ', ' ON ') : constraint
  // Stored facts of older versions lack it; they are equal where it is the database's default.
  const place = tablespace === null ? {} : { tablespace }
  return [
    fact(`index ${name}`, { shape, options, comment, statisticsTargets, replicaIdentity, ...place }),
    ...extensionFacts(`index ${name}`, extensions),
  ]
}

export function triggerFacts({ extensions, ...trigger }: Trigger, name = `trigger ${trigger.name}`): Fact[] {
  return [fact(name, trigger), ...extensionFacts(name, extensions)]
}

export function functionFacts({ extensions, ...body }: SqlFunction): Fact[] {
  const name = `function ${body.signature}`
  return [fact(name, body), ...extensionFacts(name, extensions)]
}

function extensionFacts(name: string, extensions: readonly string[] = []): Fact[] {
  return extensions.map((extension) => fact(`${name} depends on extension`, extension))
}

export function sequenceFacts(sequence: OwnedSequence): Fact[] {
  const { name, grants, defaultGrantees: _, unlogged, ...rest } = sequence
  return [
    fact(`sequence ${display(name)}`, rest),
    ...(unlogged ? [fact(`sequence ${display(name)} is`, 'unlogged')] : []),
    ...grants.map((grant) => fact(`sequence ${display(name)} grant ${describeGrant(grant)}`, grant.grantable)),
  ]
}

/** Of one that is switched off nothing is known. */
export function withoutProof(constraint: Constraint): Constraint {
  return { ...constraint, validated: false, definition: withoutNotValid(constraint.definition) }
}

/** Whether it has been validated is a matter of time, not of shape. */
export function inboundFact({ table, name, definition, comment }: InboundForeignKey): Fact {
  return fact(`foreign key ${display(table)}.${name}`, { definition: withoutNotValid(definition), comment })
}

export function withoutNotValid(definition: string): string {
  return definition.replace(/ NOT VALID$/, '')
}

/** For people, and to tell one grant from another. */
export function describeGrant({ column, privilege, grantee, grantor }: Grant): string {
  const what = column === null ? privilege : `${privilege} (${column})`
  return `${what} to ${grantee ?? 'PUBLIC'} by ${grantor}`
}
