import { readAll } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { EbbError } from '../../errors.ts'
import { isListed, isSealed } from '../../plan/purge/version-list.ts'
import { usesAddresses } from '../../plan/purge/walk.ts'
import type { PurgeLeaf, PurgeWork } from '../../plan/purge/work.ts'
import { display, quoted, sameName, type TableName } from '../../sql/names.ts'
import { join, literal, raw, sql, type Sql } from '../../sql/sql.ts'

// Whether a leaf still is what it was when the purge was planned. Between two
// batches other sessions may detach it, rename it, put another table in its place,
// drop the index being walked, rewrite it so that its rows have other addresses, or
// add a foreign key that references it.

/** In which file the rows of each leaf were when it was last looked at, by its name as shown. */
export type LeafFiles = Map<string, string>

/** The leaf is gone, or none of the table's any more: its rows, if there are any, are nothing to us. */
export class LeafLostError extends Error {
  override readonly name = 'LeafLostError'
}

/** Positions in the leaf mean nothing any more: it has to be gone through once more, in the way that `leaf` says. */
export class WalkAnewError extends Error {
  override readonly name = 'WalkAnewError'
  readonly leaf: PurgeLeaf
  readonly file: string

  constructor(reason: string, leaf: PurgeLeaf, file: string) {
    super(reason)
    this.leaf = leaf
    this.file = file
  }
}

/**
 * Makes sure that the leaf is what it was.
 *
 * @throws {LeafLostError} when it is dropped or detached
 * @throws {WalkAnewError} when the walk has to begin again
 * @throws {EbbError} when it has another name, or a new foreign key would delete or change rows of other tables, or a new rule would do something else
 */
export async function assertLeaf(session: Session, work: PurgeWork, leaf: PurgeLeaf, files: LeafFiles): Promise<void> {
  const [state] = await readAll<LeafState>(session, stateStatement(work, leaf))
  await judge(session, work, leaf, files, state)
}

/**
 * The same in the transaction of a batch, once `preparation` has locked the leaf: then
 * no session can change it before the commit. All in one message to the server.
 */
export async function prepareAtLeaf(
  session: Session,
  work: PurgeWork,
  leaf: PurgeLeaf,
  files: LeafFiles,
  preparation: string,
): Promise<void> {
  // Several statements in one message have a result each.
  const results = (await session.query(`${preparation};\n${stateStatement(work, leaf).text}`)) as unknown
  const state = (results as readonly { readonly rows: readonly LeafState[] }[]).at(-1)?.rows[0]
  await judge(session, work, leaf, files, state)
}

async function judge(
  session: Session,
  work: PurgeWork,
  leaf: PurgeLeaf,
  files: LeafFiles,
  state: LeafState | undefined,
): Promise<void> {
  if (state === undefined) throw await whatBecameOf(session, work, leaf)
  const name = display(leaf.name)
  const { file, indexed, sealed, blocks, followers, rules } = state
  if (followers.length > 0) throw followed(name, followers)
  if (rules.length > 0) throw ruled(name, rules)
  if (!sealed)
    throw new LeafLostError(
      `${name} has been rewritten or altered by another session since its rows were archived, so the rows left in it stay`,
    )
  if (!indexed)
    throw new WalkAnewError(
      `the index of ${name} along which the rows were reached is gone, so it goes block after block`,
      { ...leaf, walk: { kind: 'blocks' }, blocks },
      file,
    )
  const before = files.get(name)
  if (before !== undefined && before !== file && usesAddresses(leaf.walk))
    throw new WalkAnewError(
      `${name} has been rewritten by another session, which moves its rows, so it is walked once more`,
      { ...leaf, blocks },
      file,
    )
  files.set(name, file)
}

interface LeafState {
  readonly file: string
  readonly blocks: number
  /** The index of its walk is there, if it needs one, and leads over the same columns. */
  readonly indexed: boolean
  /** Where row versions have been listed: they still are at the same addresses, with the same columns. */
  readonly sealed: boolean
  /** Foreign keys that have come since, and would delete or change rows by themselves. */
  readonly followers: readonly string[]
  /** Rules that have come since, and may do something else in place of what is asked for. */
  readonly rules: readonly string[]
}

/** No row where the table of that name is not the leaf. Without parameters, which several statements at once cannot have. */
function stateStatement(work: PurgeWork, leaf: PurgeLeaf): Sql {
  return sql`
    select ${fileOf(leaf)} as file, ${indexed(leaf)} as indexed, ${sealed(leaf)} as sealed, ${followers(work)} as followers, ${rules(work)} as rules,
      (pg_relation_size(c.oid) / current_setting('block_size')::int)::float8 as blocks
    from pg_class c where c.oid = to_regclass(${literal(quoted(leaf.name).text)}) and c.oid = ${literal(leaf.oid)}::oid and ${
      work.oid === leaf.oid ? raw('true') : isPart(work)
    }`
}

function sealed({ walk }: PurgeLeaf): Sql {
  return isListed(walk) ? isSealed(walk.listed, raw('c.oid')) : raw('true')
}

function indexed({ walk }: PurgeLeaf): Sql {
  if (walk.kind === 'blocks' || walk.among !== undefined) return raw('true')
  const { index, columns, unique } = walk
  const same = columns.map(
    ({ name, type }, i) => sql` and exists (select from pg_attribute a where a.attrelid = c.oid
      and a.attnum = i.indkey[${raw(String(i))}] and a.attname = ${literal(name)} and a.atttypid = to_regtype(${literal(type)}))`,
  )
  return sql`exists (select from pg_index i join pg_class x on x.oid = i.indexrelid
    where i.indrelid = c.oid and x.relname = ${literal(index)} and i.indisvalid and i.indisunique >= ${raw(String(unique))}
      and i.indnkeyatts = ${raw(String(columns.length))}${join(same, '')})`
}

/** Where Citus stores the rows, also on which nodes they are: a shard that is moved gives its rows other addresses. */
function fileOf({ stored }: PurgeLeaf): Sql {
  const file = raw('pg_relation_filenode(c.oid)::text')
  if (stored === undefined) return file
  return sql`concat(${file}, ':', (select md5(string_agg(concat(s.shardid, '@', p.groupid), ',' order by s.shardid, p.groupid))
      from pg_dist_shard s join pg_dist_placement p using (shardid) where s.logicalrelid = c.oid))`
}

/**
 * Known are the tables that the plan reckons with; only of some of them rows go. A foreign key
 * keeps a trigger with each table whose rows it follows, where they are found by an index;
 * there is none of pg_constraint.
 */
function followers({ oid, action, dependents }: PurgeWork): Sql {
  if (action.kind !== 'delete') return raw(`'{}'::text[]`)
  const { watched, companions } = dependents
  const known = watched?.others ?? []
  const going = known.filter(({ name }) => companions.some(({ table }) => table !== null && sameName(table, name)))
  const list = (tables: readonly { readonly oid: string }[]) => tables.map((one) => sql`, ${literal(one.oid)}::oid`)
  return sql`array(select distinct g.tgconstrrelid::regclass || '.' || quote_ident(k.conname)
    from pg_trigger g join pg_constraint k on k.oid = g.tgconstraint and k.contype = 'f' and k.confdeltype in ('c', 'n', 'd')
    where g.tgrelid in (c.oid${join(list(going), '')}) and g.tgtype & 8 <> 0
      and coalesce(pg_partition_root(g.tgconstrrelid), g.tgconstrrelid) not in (${literal(oid)}::oid${join(list(known), '')}))`
}

function followed(name: string, followers: readonly string[]): EbbError {
  return new EbbError(
    `a foreign key added since the purge was planned would delete or change rows of another table with those of ${name}: ${followers.join(', ')}`,
    {
      state: 'The batches so far are done, and recorded; no row of that table has been touched.',
      next: 'End the run with ebb abandon, and plan it again: the new plan says what becomes of those rows.',
    },
  )
}

/** Of rules that were there before, the plan tells. Recording keys deletes and changes nothing. */
function rules({ action: { kind } }: PurgeWork): Sql {
  if (kind === 'record') return raw(`'{}'::text[]`)
  const event = raw(kind === 'delete' ? "'4'" : "'2'")
  return sql`array(select r.rulename::text from pg_rewrite r where r.ev_class = c.oid and r.ev_type = ${event} and r.ev_enabled <> 'D' order by 1)`
}

function ruled(name: string, rules: readonly string[]): EbbError {
  return new EbbError(
    `a rule added since the purge was planned may do something else with the rows of ${name}: ${rules.join(', ')}`,
    {
      state: 'The batches so far are done, and recorded.',
      next: 'Disable it for the duration of the purge (alter table … disable rule …) and run the same command again: it resumes from here. Or end the run with ebb abandon.',
    },
  )
}

/** The table itself, or below it; what is being detached is not. */
function isPart({ oid }: PurgeWork): Sql {
  return sql`${literal(oid)}::oid in (with recursive up (oid) as (
    select c.oid union select i.inhparent from pg_inherits i join up on i.inhrelid = up.oid where not i.inhdetachpending
  ) select oid from up)`
}

async function whatBecameOf(session: Session, work: PurgeWork, leaf: PurgeLeaf): Promise<Error> {
  const [now] = await readAll<{ name: TableName; part: boolean }>(
    session,
    sql`
    select json_build_object('schema', n.nspname, 'name', c.relname) as name, ${isPart(work)} as part
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = ${leaf.oid}::oid`,
  )
  const name = display(leaf.name)
  if (now === undefined) return new LeafLostError(`${name} has been dropped by another session, with all its rows`)
  if (!now.part)
    return new LeafLostError(`${name} is no longer a part of ${display(work.table)}, so the rows left in it stay`)
  return new EbbError(`${name} has been renamed to ${display(now.name)} by another session`, {
    state: 'The batches so far are done, and recorded; no row of another table has been touched.',
    next: 'Give it its name back and run the same command again: it resumes from here. Or end the run with ebb abandon, and purge it under its new name.',
  })
}
