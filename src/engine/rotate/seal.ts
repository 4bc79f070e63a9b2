import { readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { EbbError } from '../../errors.ts'
import { at } from '../../journal/journal.ts'
import { WRITE_TRIGGER } from '../../catalog/partitions/own-parts.ts'
import { display, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'

// Whether a detached partition still is as it was archived: its seal is another one when the trigger has marked a write
// since, when the trigger was dropped, disabled or enabled, when the table was rewritten or truncated, and when a column
// was added or altered, which changes rows without a trigger. Marks of earlier writes stay: should the archive fail, they
// tell that the partition was written to in its grace period.

/** The relation, and its partitions if it has some. */
const TREE = (oid: string) =>
  sql`(select ${oid}::oid as relid union select relid::oid from pg_partition_tree(${oid}::oid))`

/** The seal of a relation: compared for equality only. */
export async function readSeal(session: Session, schema: string, oid: string): Promise<string> {
  const { seal } = await readOne<{ seal: string }>(
    session,
    sql`
    select md5(concat_ws(' ', 'file', (select string_agg(pg_relation_filenode(l.relid)::text, ',' order by l.relid) from ${TREE(oid)} l),
      'writes', (select format('%s:%s', count(*), max(w.xact)) from ${at(schema, 'archived_write')} w where w.relation_oid in (select relid from ${TREE(oid)} l)),
      'trigger', (select string_agg(format('%s:%s:%s', t.oid, t.xmin, t.tgenabled), ',' order by t.oid)
        from pg_trigger t where t.tgrelid in (select relid from ${TREE(oid)} l) and t.tgname = ${WRITE_TRIGGER} and t.tgenabled = 'A'),
      'columns', (select string_agg(format('%s:%s:%s', a.attrelid, a.attnum, a.xmin), ',' order by a.attrelid, a.attnum)
        from pg_attribute a where a.attrelid in (select relid from ${TREE(oid)} l) and a.attnum > 0))) as seal`,
  )
  return seal
}

/** Whether it is as it was archived. Under a lock that keeps writers away, it stays so. */
export async function isAsArchived(session: Session, schema: string, oid: string, seal: string): Promise<boolean> {
  return (await readSeal(session, schema, oid)) === seal
}

/** It has been written to or altered since its archive began: it is archived again. */
export class ChangedSinceError extends EbbError {
  override readonly name = 'ChangedSinceError'

  constructor(partition: TableName) {
    super(
      `${display(partition)} was written to, or altered, while it was archived`,
      {
        state:
          'It is detached. Its archive has a receipt, and not what was written since: none of its rows has been removed.',
        next: 'Find out who writes to it by its name; the next rotation archives it again.',
      },
      'try later',
    )
  }
}
