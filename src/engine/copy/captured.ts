import type { ClientBase } from 'pg'
import { readOne } from '../../db/session.ts'
import { EbbError } from '../../errors.ts'
import { at } from '../../journal/journal.ts'
import type { CopyWork } from '../../plan/copy-work.ts'
import { display, quoted } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'

// What a capture was when it began, by which a gap in it is noticed.

/** What the source was when its capture began. */
export interface SourceState {
  readonly filenode: string
  readonly blocks: number
}

/** Writes down a capture; in the transaction that begins it, while nobody writes. */
export async function recordCapture(
  session: ClientBase,
  schema: string,
  runId: string,
  { source, capture }: CopyWork,
): Promise<void> {
  const { rowCount } = await session.query(sql`
    insert into ${at(schema, 'capture')} (log_name, run_id, table_oid, filenode, blocks, trigger_oid, trigger_xmin)
    select ${capture.log.name}, ${runId}, c.oid, pg_relation_filenode(c.oid), pg_relation_size(c.oid) / current_setting('block_size')::int, t.oid, t.xmin::text
    from pg_class c join pg_trigger t on t.tgrelid = c.oid and t.tgname = ${capture.trigger} where c.oid = ${quoted(source).text}::regclass`)
  if (rowCount !== 1) throw new Error(`no capture on ${display(source)}`)
}

export async function readSource(session: ClientBase, schema: string, { capture }: CopyWork): Promise<SourceState> {
  const { filenode, blocks } = await readOne<{ filenode: string; blocks: string }>(
    session,
    sql`
    select filenode::text as filenode, blocks::text as blocks from ${at(schema, 'capture')} where log_name = ${capture.log.name}`,
  )
  return { filenode, blocks: Number(blocks) }
}

/**
 * Makes sure that no change can have escaped: somebody may have switched the
 * trigger off and on again, which leaves a new version of its catalogue row
 * (postgres-facts B7), rewritten the table, or truncated it.
 *
 * @throws {EbbError} when the capture has a gap
 */
export async function assertCaptured(
  session: ClientBase,
  schema: string,
  { source, capture }: CopyWork,
): Promise<void> {
  const { unbroken } = await readOne<{ unbroken: boolean }>(
    session,
    sql`
    select exists (select from ${at(schema, 'capture')} s join pg_trigger t on t.oid = s.trigger_oid and t.xmin::text = s.trigger_xmin
        where s.log_name = ${capture.log.name} and t.tgenabled = 'A' and s.table_oid = ${quoted(source).text}::regclass and pg_relation_filenode(s.table_oid) = s.filenode)
      and not exists (select from ${quoted(capture.log)} where ebb_truncated) as unbroken`,
  )
  if (unbroken) return
  throw new EbbError(
    `changes of ${display(source)} have not all been caught: somebody has truncated or rewritten it, or switched its triggers off`,
    {
      state: 'The copy cannot be trusted any more; the table itself is untouched.',
      next: 'Undo the run with ebb abandon, and start again.',
    },
  )
}
