import { raw, type Sql } from './sql.ts'

// Conditions are evaluated under the user's search path, and a schema on it may have an operator that matches two
// types better than PostgreSQL's own. So everything next to a condition is schema-qualified.

/** PostgreSQL's own operator, whatever the search path. */
export function own(name: string): Sql {
  return raw(`operator(pg_catalog.${name})`)
}

/**
 * The operators of a btree operator class, each with its schema, in the order of
 * their strategies: less, less or equal, equal, greater or equal, greater.
 */
export type Ordering = readonly string[]

const STRATEGIES = ['<', '<=', '=', '>=', '>'] as const

/** An operator of a column's operator class. Plans of earlier versions had none, and used the search path. */
export function ordered(by: Ordering | undefined, operator: (typeof STRATEGIES)[number]): Sql {
  return raw(by?.[STRATEGIES.indexOf(operator)] ?? operator)
}

/** The operators of the class `opclass` (a row of pg_opclass), as `Ordering` in JSON. */
export function orderingOf(opclass: string): string {
  return `(select json_agg(format('operator(%I.%s)', opn.nspname, op.oprname) order by amop.amopstrategy)
    from pg_amop amop join pg_operator op on op.oid = amop.amopopr join pg_namespace opn on opn.oid = op.oprnamespace
    where amop.amopfamily = ${opclass}.opcfamily and amop.amoplefttype = ${opclass}.opcintype and amop.amoprighttype = ${opclass}.opcintype and amop.amoppurpose = 's')`
}
