import { raw, type Sql } from './sql.ts'

// Where a condition of the user's is read, the user's search path is in force,
// and a schema on it may hold an operator that fits two types better than
// PostgreSQL's own. So all that is written beside a condition names its schema.

/** PostgreSQL's own operator, whatever the search path holds. */
export function own(name: string): Sql {
  return raw(`operator(pg_catalog.${name})`)
}

/**
 * The operators of a btree operator class, each with its schema, in the order of
 * their strategies: less, less or equal, equal, greater or equal, greater.
 */
export type Ordering = readonly string[]

const STRATEGIES = ['<', '<=', '=', '>=', '>'] as const

/** An operator of a column's operator class. Plans of earlier versions knew none, and took what the search path held. */
export function ordered(by: Ordering | undefined, operator: (typeof STRATEGIES)[number]): Sql {
  return raw(by?.[STRATEGIES.indexOf(operator)] ?? operator)
}

/** The operators of the class `opclass` (a row of pg_opclass), as `Ordering` in JSON. */
export function orderingOf(opclass: string): string {
  return `(select json_agg(format('operator(%I.%s)', opn.nspname, op.oprname) order by amop.amopstrategy)
    from pg_amop amop join pg_operator op on op.oid = amop.amopopr join pg_namespace opn on opn.oid = op.oprnamespace
    where amop.amopfamily = ${opclass}.opcfamily and amop.amoplefttype = ${opclass}.opcintype and amop.amoprighttype = ${opclass}.opcintype and amop.amoppurpose = 's')`
}
