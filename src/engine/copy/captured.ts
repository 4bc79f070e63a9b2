import type { ClientBase } from 'pg'
import { readAll, readOne } from '../../db/session.ts'
import { EbbError } from '../../errors.ts'
import { at } from '../../journal/journal.ts'
import { gapOf, isWayBack } from '../../plan/copy/capture.ts'
import type { CopyWork } from '../../plan/copy/work.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { raw, sql } from '../../sql/sql.ts'

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

/** The triggers that the one on a partitioned table has on its partitions: with another oid or xmin it is none of those before. */
const LEAVES = raw(`array(select format('%s:%s:%s:%s', l.relid::oid, t.oid, t.xmin, t.tgenabled)
  from pg_trigger p cross join pg_partition_tree(p.tgrelid) l
    left join pg_trigger t on t.tgrelid = l.relid and t.tgname = p.tgname and t.tgparentid <> 0
  where p.oid = s.trigger_oid and l.isleaf and c.relkind = 'p' order by 1)`)

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
    insert into ${at(schema, 'capture')} (log_name, run_id, table_oid, files, blocks, trigger_oid, trigger_xmin, gap_oid, gap_xmin, leaves)
    select ${capture.log.name}, ${runId}, c.oid, ${watched}, pg_relation_size(c.oid) / current_setting('block_size')::int,
      s.trigger_oid, s.trigger_xmin, g.oid, g.xmin::text, ${LEAVES}
    from pg_class c join lateral (select t.oid as trigger_oid, t.xmin::text as trigger_xmin from pg_trigger t
        where t.tgrelid = c.oid and t.tgname = ${capture.trigger}) s on true
      left join pg_class g on g.oid = to_regclass(${quoted(gapOf(capture)).text})
    where c.oid = ${quoted(source).text}::regclass`)
  if (rowCount !== 1) throw new Error(`no capture on ${display(source)}`)
}

/** Adds a partition to the captures of its table; in the transaction that makes it, for then its rows have all been seen coming. */
export async function recordLeaf(
  session: ClientBase,
  schema: string,
  tableOid: string,
  partition: TableName,
): Promise<void> {
  await session.query(sql`
    update ${at(schema, 'capture')} s set leaves = s.leaves || format('%s:%s:%s:%s', t.tgrelid, t.oid, t.xmin, t.tgenabled)
    from pg_trigger t where t.tgrelid = ${quoted(partition).text}::regclass and t.tgparentid = s.trigger_oid and s.table_oid = ${tableOid}`)
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

interface State {
  /** The trigger is the one that it was, and fires. */
  readonly firing: boolean
  /** The table, or its partitions, are in the files that they were in. */
  readonly unmoved: boolean
  readonly truncated: boolean
  /** What marks a gap is what it was. */
  readonly marking: boolean
  /** The SQLSTATE of a change that could not be caught. */
  readonly failure: string | null
  /** Partitions whose triggers are not those that were written down. */
  readonly strangers: readonly { readonly oid: string; readonly name: TableName | null }[]
}

/**
 * What has kept changes from being caught since the capture began, in words;
 * empty where nothing has. Switching a trigger off and on again leaves a new
 * version of its catalogue row (with another xmin), and so does a partition
 * that goes and comes again.
 *
 * A journal from before these columns is read as well, in a plan for instance.
 */
export async function readGaps(session: ClientBase, schema: string, { source, capture }: CopyWork): Promise<string[]> {
  const recorded = raw(
    `array(select jsonb_array_elements_text(coalesce(nullif(to_jsonb(s) -> 'leaves', 'null'), to_jsonb(l.present))))`,
  )
  const [state] = await readAll<State>(
    session,
    sql`
    select t.oid is not null and t.xmin::text = s.trigger_xmin and t.tgenabled = 'A' and s.table_oid = c.oid as firing,
      s.files <@ ${FILES} as unmoved,
      exists (select from ${at(schema, 'truncation')} where log_name = s.log_name) as truncated,
      to_jsonb(s) ->> 'gap_oid' is null or coalesce(has_sequence_privilege(g.oid, 'usage, select'), false) as marking,
      case when has_sequence_privilege(g.oid, 'usage, select')
        then convert_from(decode(to_hex(pg_sequence_last_value(g.oid)), 'hex'), 'UTF8') end as failure,
      array(select json_build_object('oid', d.oid, 'name', (select json_build_object('schema', n.nspname, 'name', r.relname)
          from pg_class r join pg_namespace n on n.oid = r.relnamespace where r.oid::text = d.oid))
        from (select distinct split_part(w, ':', 1) as oid from (
          (select unnest(l.present) except select unnest(${recorded})) union all
          (select unnest(${recorded}) except select unnest(l.present))) w (w)) d order by d.oid) as strangers
    from ${at(schema, 'capture')} s join pg_class c on c.oid = ${quoted(source).text}::regclass
      left join pg_trigger t on t.oid = s.trigger_oid
      left join pg_class g on g.oid::text = to_jsonb(s) ->> 'gap_oid' and g.xmin::text = to_jsonb(s) ->> 'gap_xmin'
      cross join lateral (select ${LEAVES} as present) l
    where s.log_name = ${capture.log.name}`,
  )
  return state === undefined ? ['nothing is known of what catches them'] : describeGaps(state)
}

function describeGaps({ firing, unmoved, truncated, marking, failure, strangers }: State): string[] {
  return [
    ...(firing ? [] : ['somebody has switched its triggers off, or dropped them']),
    ...(truncated ? ['somebody has truncated it'] : []),
    ...(firing && !unmoved && !truncated && strangers.length === 0
      ? ['somebody has truncated or rewritten it, or a partition of it']
      : []),
    ...(marking ? [] : ['somebody has altered what would tell whether they were']),
    ...(failure === null ? [] : [describeFailure(failure)]),
    ...(firing
      ? strangers.map(({ oid, name }) => describeStranger(name === null ? `with oid ${oid}` : display(name)))
      : []),
  ]
}

function describeStranger(partition: string): string {
  return `partition ${partition} is not as Ebb has made or found it: somebody has attached or detached it, or switched its triggers off`
}

function describeFailure(sqlstate: string): string {
  const [what, why] = FAILURES.find(([code]) => sqlstate.startsWith(code)) ?? ['', 'they could not be written down']
  return what === '' ? `${why} (SQLSTATE ${sqlstate})` : why
}

const FAILURES = [
  ['42703', 'a column of its key has been renamed or dropped'],
  ['42804', 'a column of its key has another type'],
  ['22', 'a column of its key has values that its old type does not have'],
  ['53100', 'there was no disk space left to write them down'],
  ['42501', 'a privilege was lacking to write them down'],
  ['42P01', 'their log has been dropped or renamed'],
  ['3F000', 'the schema of their log has been dropped or renamed'],
] as const

/**
 * Makes sure that no change can have escaped.
 *
 * @throws {EbbError} when the capture has a gap
 */
export async function assertCaptured(session: ClientBase, schema: string, work: CopyWork): Promise<void> {
  const gaps = await readGaps(session, schema, work)
  if (gaps.length > 0) throw notCaptured(work, gaps)
}

export function notCaptured({ source, capture }: CopyWork, gaps: readonly string[]): EbbError {
  return new EbbError(
    `changes of ${display(source)} have not all been caught: ${gaps.join('; ')}`,
    isWayBack(capture)
      ? {
          state: 'The retired table can no longer be brought up to date; the table itself is untouched.',
          next: 'Undo this run with ebb abandon, keep the new table, and drop the retired one with ebb retire.',
        }
      : {
          state: 'The copy cannot be trusted any more; the table itself is untouched.',
          next: 'Undo the run with ebb abandon, and start again.',
        },
  )
}
