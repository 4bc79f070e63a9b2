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
  /** The file its rows are in: another one means that every row has another address. */
  readonly filenode: string
  readonly blocks: number
}

/** The files of a relation: its own, or those of its partitions. */
const FILES = sql`array(select l.relid::oid || ':' || pg_relation_filenode(l.relid)
  from (select c.oid as relid where c.relkind = 'r' union all select t.relid from pg_partition_tree(c.oid) t where t.isleaf and c.relkind = 'p') l)`

/**
 * Writes down a capture; in the transaction that begins it, while nobody writes.
 * `files`: whether a rewritten table is a gap. It is where rows are copied by
 * address, and where partitions can be truncated past the parent's trigger.
 */
export async function recordCapture(
  session: ClientBase,
  schema: string,
  runId: string,
  { source, capture }: CopyWork,
  files: 'all' | 'of partitions',
): Promise<void> {
  const watched = files === 'all' ? FILES : sql`case when c.relkind = 'p' then ${FILES} else '{}' end`
  const { rowCount } = await session.query(sql`
    insert into ${at(schema, 'capture')} (log_name, run_id, table_oid, files, blocks, trigger_oid, trigger_xmin)
    select ${capture.log.name}, ${runId}, c.oid, ${watched}, pg_relation_size(c.oid) / current_setting('block_size')::int, t.oid, t.xmin::text
    from pg_class c join pg_trigger t on t.tgrelid = c.oid and t.tgname = ${capture.trigger}
    where c.oid = ${quoted(source).text}::regclass`)
  if (rowCount !== 1) throw new Error(`no capture on ${display(source)}`)
}

export async function readSource(session: ClientBase, schema: string, { capture }: CopyWork): Promise<SourceState> {
  const { filenode, blocks } = await readOne<{ filenode: string; blocks: string }>(
    session,
    sql`
    select split_part(files[1], ':', 2) as filenode, blocks::text as blocks
    from ${at(schema, 'capture')} where log_name = ${capture.log.name}`,
  )
  return { filenode, blocks: Number(blocks) }
}

/**
 * Makes sure that no change can have escaped: somebody may have switched the
 * trigger off and on again, which leaves a new version of its catalogue row
 * (with another xmin), rewritten the table, or truncated it.
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
    select exists (
        select from ${at(schema, 'capture')} s join pg_trigger t on t.oid = s.trigger_oid and t.xmin::text = s.trigger_xmin
        join pg_class c on c.oid = s.table_oid
        where s.log_name = ${capture.log.name} and t.tgenabled = 'A' and c.oid = ${quoted(source).text}::regclass
          and s.files <@ ${FILES})
      and not exists (select from ${at(schema, 'truncation')} where log_name = ${capture.log.name}) as unbroken`,
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
