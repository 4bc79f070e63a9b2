import type { ClientBase } from 'pg'
import { prepared, readAllPrepared, readOnePrepared } from '../../db/query.ts'
import { EbbError } from '../../errors.ts'
import { at } from '../../journal/journal.ts'
import { gapOf, isWayBack } from '../../plan/copy/capture.ts'
import type { CopyWork } from '../../plan/copy/work.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { raw, sql } from '../../sql/sql.ts'

// The state of a capture at its start, by which gaps are detected.

/** The state of the source at the start of its capture. */
export interface SourceState {
  /** The file of its rows: another one means that every row has another ctid. */
  readonly filenode: string
  readonly blocks: number
}

/** The files of a relation, or of its partitions. */
const FILES = sql`array(select l.relid::oid || ':' || pg_relation_filenode(l.relid)
  from (select c.oid as relid where c.relkind = 'r' union all select t.relid from pg_partition_tree(c.oid) t where t.isleaf and c.relkind = 'p') l)`

/**
 * The clones of a partitioned table's trigger on its partitions, with oid and xmin: another one of either is a new
 * trigger.
 */
const LEAVES = raw(`array(select format('%s:%s:%s:%s', l.relid::oid, t.oid, t.xmin, t.tgenabled)
  from pg_trigger p cross join pg_partition_tree(p.tgrelid) l
    left join pg_trigger t on t.tgrelid = l.relid and t.tgname = p.tgname and t.tgparentid <> 0
  where p.oid = s.trigger_oid and l.isleaf and c.relkind = 'p' order by 1)`)

/**
 * Records a capture, in the transaction that starts it, while there are no writers. `files`: whether a rewritten
 * table is a gap. It is if rows are copied by ctid, or if partitions can be truncated without firing the parent's
 * trigger.
 */
export async function recordCapture(
  session: ClientBase,
  schema: string,
  runId: string,
  { source, capture }: CopyWork,
  files: 'all' | 'of partitions',
): Promise<void> {
  const watched = files === 'all' ? FILES : sql`case when c.relkind = 'p' then ${FILES} else '{}' end`
  const { rowCount } = await session.query(
    prepared(sql`
    insert into ${at(schema, 'capture')} (log_name, run_id, table_oid, files, blocks, trigger_oid, trigger_xmin, gap_oid, gap_xmin, leaves)
    select ${capture.log.name}, ${runId}, c.oid, ${watched}, pg_relation_size(c.oid) / current_setting('block_size')::int,
      s.trigger_oid, s.trigger_xmin, g.oid, g.xmin::text, ${LEAVES}
    from pg_class c join lateral (select t.oid as trigger_oid, t.xmin::text as trigger_xmin from pg_trigger t
        where t.tgrelid = c.oid and t.tgname = ${capture.trigger}) s on true
      left join pg_class g on g.oid = to_regclass(${quoted(gapOf(capture)).text})
    where c.oid = ${quoted(source).text}::regclass`),
  )
  if (rowCount !== 1) throw new Error(`no capture on ${display(source)}`)
}

/**
 * Adds a partition to the captures of its table, in the transaction that creates it, so that all its rows are
 * captured.
 */
export async function recordLeaf(
  session: ClientBase,
  schema: string,
  tableOid: string,
  partition: TableName,
): Promise<void> {
  await session.query(sql`
    update ${at(schema, 'capture')} s set leaves = s.leaves || array(
      select format('%s:%s:%s:%s', t.tgrelid, t.oid, t.xmin, t.tgenabled) from pg_partition_tree(${quoted(partition).text}::regclass) l
      join pg_trigger t on t.tgrelid = l.relid and t.tgname = p.tgname and t.tgparentid <> 0 where l.isleaf)
    from pg_trigger p where p.oid = s.trigger_oid and s.table_oid = ${tableOid}`)
}

export async function readSource(session: ClientBase, schema: string, { capture }: CopyWork): Promise<SourceState> {
  const { filenode, blocks } = await readOnePrepared<{ filenode: string; blocks: string }>(
    session,
    sql`
    select split_part(files[1], ':', 2) as filenode, blocks::text as blocks
    from ${at(schema, 'capture')} where log_name = ${capture.log.name}`,
  )
  return { filenode, blocks: Number(blocks) }
}

interface State {
  /** Whether the trigger is the same, and enabled. */
  readonly firing: boolean
  /** Whether both trigger and gap sequence are there under their names with other oids, as a restored dump has them. */
  readonly restored: boolean
  /** Whether the table, or its partitions, have the same files. */
  readonly unmoved: boolean
  readonly truncated: boolean
  /** Whether the gap sequence is unchanged. */
  readonly marking: boolean
  /** The SQLSTATE of a change that could not be logged. */
  readonly failure: string | null
  /** Partitions whose triggers are not the recorded ones. */
  readonly strangers: readonly { readonly oid: string; readonly name: TableName | null }[]
}

/**
 * The reasons for gaps in the capture since its start; empty if there are none. Disabling and enabling a trigger
 * leaves a new version of its catalogue row (with another xmin), and so does detaching and attaching a partition.
 *
 * Also reads a journal without these columns, for example in a plan.
 */
export async function readGaps(session: ClientBase, schema: string, { source, capture }: CopyWork): Promise<string[]> {
  const recorded = raw(
    `array(select jsonb_array_elements_text(coalesce(nullif(to_jsonb(s) -> 'leaves', 'null'), to_jsonb(l.present))))`,
  )
  const [state] = await readAllPrepared<State>(
    session,
    sql`
    select t.oid is not null and t.xmin::text = s.trigger_xmin and t.tgenabled = 'A' and s.table_oid = c.oid as firing,
      t.oid is null and g.oid is null and to_jsonb(s) ->> 'gap_oid' is not null and to_regclass(${quoted(gapOf(capture)).text}) is not null
        and exists (select from pg_trigger o where o.tgrelid = c.oid and o.tgname = ${capture.trigger} and o.tgenabled = 'A') as restored,
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
  return state === undefined ? ['its capture is not recorded'] : describeGaps(state)
}

function describeGaps({ firing, restored, unmoved, truncated, marking, failure, strangers }: State): string[] {
  if (restored)
    return ['the database has been restored from a dump since, and what was caught before may not be all there']
  return [
    ...(firing ? [] : ['its capture triggers were disabled or dropped']),
    ...(truncated ? ['it was truncated'] : []),
    ...(firing && !unmoved && !truncated && strangers.length === 0
      ? ['it or one of its partitions was truncated or rewritten']
      : []),
    ...(marking ? [] : ['the sequence that marks a gap was altered']),
    ...(failure === null ? [] : [describeFailure(failure)]),
    ...(firing
      ? strangers.map(({ oid, name }) => describeStranger(name === null ? `with oid ${oid}` : display(name)))
      : []),
  ]
}

function describeStranger(partition: string): string {
  return `partition ${partition} is not as Ebb created or found it: it was attached or detached, or its triggers were disabled`
}

function describeFailure(sqlstate: string): string {
  const [what, why] = FAILURES.find(([code]) => sqlstate.startsWith(code)) ?? ['', 'they could not be logged']
  return what === '' ? `${why} (SQLSTATE ${sqlstate})` : why
}

const FAILURES = [
  ['42703', 'a key column was renamed or dropped'],
  ['42804', 'the type of a key column was changed'],
  ['22', 'a key column has values that its old type cannot hold'],
  ['53100', 'there was no disk space left to log them'],
  ['42501', 'a privilege to log them was missing'],
  ['42P01', 'their log was dropped or renamed'],
  ['3F000', 'the schema of their log was dropped or renamed'],
] as const

/**
 * Checks that all changes have been captured.
 *
 * @throws {EbbError} when the capture has a gap
 */
export async function assertCaptured(session: ClientBase, schema: string, work: CopyWork): Promise<void> {
  const gaps = await readGaps(session, schema, work)
  if (gaps.length > 0) throw notCaptured(work, gaps)
}

function notCaptured({ source, capture }: CopyWork, gaps: readonly string[]): EbbError {
  return new EbbError(
    `changes of ${display(source)} were not all captured: ${gaps.join('; ')}`,
    isWayBack(capture)
      ? {
          state: 'The retired table can no longer be brought up to date; the table itself is unchanged.',
          next: 'Abandon this run with ebb abandon, keep the new table, and drop the retired one with ebb retire.',
        }
      : {
          state: 'The copy can no longer be trusted; the table itself is unchanged.',
          next: 'Undo the run with ebb abandon, and start again.',
        },
  )
}
