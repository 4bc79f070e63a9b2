import {
  DISABLED_CONSTRAINTS,
  FIRED_BY,
  type DisabledConstraint,
} from '../../catalog/references/disabled-constraints.ts'
import type { Session } from '../../db/session.ts'
import { EbbError } from '../../errors.ts'
import { describeDisabled } from '../../plan/table/objections/disabled-constraints.ts'
import type { PurgeLeaf, Watched } from '../../plan/purge/work.ts'
import { raw, sql } from '../../sql/sql.ts'

const FIRING = FIRED_BY.delete | FIRED_BY.update

/**
 * At the end of a batch, when its locks keep other sessions from disabling triggers
 * of the tables that it has changed: foreign keys have noticed each change.
 *
 * @throws {EbbError} when one of them cannot have
 */
export async function assertLookedAfter(
  session: Session,
  { root, others }: Watched,
  leaf: Pick<PurgeLeaf, 'oid'>,
): Promise<void> {
  const own = [leaf, root].map(({ oid }) => oid)
  const around = others.map(({ oid }) => oid)
  const { text, values } = sql`
    with place as (
      select oid from unnest(${own}::oid[]) o (oid)
      union select p.relid from unnest(${own}::oid[]) o (oid), pg_partition_tree(o.oid) p
      union select m.relid from unnest(${around}::oid[]) o (oid), lateral (select o.oid as relid union select relid from pg_partition_tree(o.oid)) m
        where pg_stat_get_xact_tuples_deleted(m.relid) + pg_stat_get_xact_tuples_updated(m.relid) > 0)
    select ${raw(DISABLED_CONSTRAINTS('t.tgrelid in (select oid from place)', FIRING))} as disabled`
  // Named, for planning takes longer than execution.
  const { rows } = await session.query<{ disabled: readonly DisabledConstraint[] }>({
    name: 'ebb disabled',
    text,
    values,
  })
  const disabled = rows[0]?.disabled ?? []
  if (disabled.length === 0) return
  throw new EbbError(
    `constraints have been switched off since the purge was planned (disable trigger all), so rows could be referred to that are no more: ${describeDisabled(disabled)}`,
    {
      state: 'The batches so far are done, and recorded; this one has been undone.',
      next: 'As a superuser, switch them on (alter table … enable trigger all) and run the same command again: it resumes from here.',
    },
  )
}
