import type { InboundForeignKey } from '../../catalog/table/table-model.ts'
import { companion, sameName } from '../../sql/names.ts'
import { constraint } from './definitions.ts'
import { withoutNotValid } from './fact.ts'

// Foreign keys of other tables onto one that is exchanged: how they follow it, and which names PostgreSQL then takes.

/** Makes foreign keys of other tables point at the one that has the name now. */
export function addInboundKeys(keys: readonly InboundForeignKey[]): string[] {
  return beforeTheirClones(keys).flatMap(addInboundKey)
}

/**
 * Where the table is partitioned now, PostgreSQL gives each key a clone for each partition, in the same table: until 17
 * with the next free name of its own choosing, from 18 on with the name of the key and a number (`k_1`). So keys that
 * have such names come first.
 */
export function beforeTheirClones(keys: readonly InboundForeignKey[]): InboundForeignKey[] {
  const longestFirst = keys.toSorted((a, b) => bytesOf(b) - bytesOf(a) || Number(isNumbered(b)) - Number(isNumbered(a)))
  return [...longestFirst.filter(hasChosenName), ...longestFirst.filter((key) => !hasChosenName(key))]
}

function bytesOf({ name }: { readonly name: string }): number {
  return Buffer.byteLength(name)
}

/** Whether PostgreSQL may have named it, or might name another so. */
export function hasChosenName({ name }: { readonly name: string }): boolean {
  return /_fkey\d*$/.test(name)
}

const NUMBER = /_[1-9]\d*$/

function isNumbered({ name }: { readonly name: string }): boolean {
  return NUMBER.test(name)
}

/** Whether PostgreSQL 18 may give a clone of the first the name of the second. */
export function isCloneName(key: InboundForeignKey, { name, table }: InboundForeignKey): boolean {
  const [number] = NUMBER.exec(name) ?? []
  return number !== undefined && sameName(key.table, table) && companion(key.name, number) === name
}

/** Makes a foreign key of another table point at the one that has the name now, without looking at the rows there are. */
function addInboundKey(key: InboundForeignKey): string[] {
  return constraint(key.table, { ...key, definition: `${withoutNotValid(key.definition)} NOT VALID` })
}
