import { LIST } from '../table/json-parts.ts'

// PostgreSQL looks after a foreign key, and after a unique constraint that is
// deferrable, by triggers of its own. `disable trigger all` switches those off:
// rows may go that others refer to, and actions (on delete cascade) do not happen.

/** A constraint of which PostgreSQL does not look after every part. */
export interface DisabledConstraint {
  readonly name: string
  /** The table whose constraint it is, in PostgreSQL's words. */
  readonly of: string
  /** The table on which its triggers are disabled, in PostgreSQL's words. */
  readonly on: string
}

/** Row triggers that fire for these are looked at; the numbers are PostgreSQL's. */
export const FIRED_BY = { delete: 8, update: 16, anything: 28 } as const

/**
 * A subquery's list of the constraints whose triggers on some relations are
 * switched off; `which` says of a trigger `t` and its constraint `k` whether it
 * is one of them. ENABLE ALWAYS is no less than it was.
 */
export const DISABLED_CONSTRAINTS = (which: string, firedBy: number) =>
  LIST(`select json_agg(distinct jsonb_build_object('name', k.conname, 'of', k.conrelid::regclass::text, 'on', t.tgrelid::regclass::text))
  from pg_trigger t join pg_constraint k on k.oid = t.tgconstraint
  where t.tgisinternal and t.tgenabled not in ('O', 'A') and t.tgtype & ${firedBy} <> 0 and (${which})`)
