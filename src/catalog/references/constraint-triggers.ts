import type { TableName } from '../../sql/names.ts'
import { ENABLED, LIST, RELATION_NAME } from '../table/json-parts.ts'
import { IS_KEY_ONTO, IS_NO_CLONE } from './foreign-key.ts'

// PostgreSQL looks after a foreign key, and after a unique constraint that is deferrable, by triggers of its own. Anybody may
// have switched them off, as `disable trigger all` does, or made them fire always.

/** One of them that is not in its ordinary state. */
export interface ConstraintTrigger {
  readonly constraint: string
  /** The table whose constraint it is. */
  readonly of: TableName
  /** What it runs: `RI_FKey_check_…` where rows refer to others, `RI_FKey_…` of another kind where they are referred to. */
  readonly function: string
  /** In partitions, too, or `mixed`. */
  readonly enabled: 'origin' | 'disabled' | 'replica' | 'always' | 'mixed'
  /** The tables that it is on, in PostgreSQL's words. */
  readonly on: readonly string[]
}

const OF_TABLE = LIST(`select json_agg(json_build_object('constraint', k.conname, 'of', ${RELATION_NAME('n', 'r')},
    'function', s.function, 'enabled', case when s.state is null then 'mixed' else ${ENABLED('s.state')} end, 'on', s.places)
    order by n.nspname, r.relname, k.conname, s.function)
  from (
    with recursive part (root, oid) as (
      select k.oid, k.oid from pg_constraint k
      where k.conrelid = c.oid and k.contype in ('f', 'p', 'u', 'x') and ${IS_NO_CLONE('k')} or ${IS_KEY_ONTO('c.oid')}
      union
      select part.root, k.oid from part join pg_constraint k on k.conparentid = part.oid)
    select part.root, f.proname as function, case when min(t.tgenabled) = max(t.tgenabled) then min(t.tgenabled) end as state,
      json_agg(distinct t.tgrelid::regclass::text) filter (where t.tgenabled <> 'O') as places
    from part join pg_trigger t on t.tgconstraint = part.oid join pg_proc f on f.oid = t.tgfoid
    where t.tgisinternal group by 1, 2 having min(t.tgenabled) <> 'O' or max(t.tgenabled) <> 'O') s
  join pg_constraint k on k.oid = s.root join pg_class r on r.oid = k.conrelid join pg_namespace n on n.oid = r.relnamespace`)

/** A subquery's list of those of table `c`: of its constraints, and of foreign keys onto it. Most databases have none at all. */
export const CONSTRAINT_TRIGGERS = `case when exists (select from pg_trigger where tgisinternal and tgenabled <> 'O') then ${OF_TABLE} else '[]' end`
