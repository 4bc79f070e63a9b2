import { parseBounds } from '../../catalog/partitions/bounds.ts'
import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { ident, join, literal, raw, sql } from '../../sql/sql.ts'
import { exclusive } from '../language/locks.ts'
import { dropGuard } from './archiving.ts'
import { locksBeside } from './beside-default.ts'
import type { AloneStep, Lock, ShortLockStep } from '../language/step.ts'

// Attaches a detached partition again: because one of its rows has to be kept, on request, or truncated.

type Detached = Pick<Partition, 'name' | 'boundsText'>

const PROOF = 'ebb_bounds'

const KEPT_AFTER_ALL = 'a row in it is to be kept after all'

/** Adds and validates a CHECK of the bounds, without which PostgreSQL would scan the whole partition under lock. */
export function proveBoundsStep(
  set: PartitionedTable,
  { name, boundsText }: Detached,
  because = KEPT_AFTER_ALL,
): AloneStep {
  const table = quoted(name)
  const proof = raw(PROOF)
  return {
    kind: 'alone',
    key: `prove:${display(name)}`,
    title: `add CHECK to ${display(name)}, which is detached, and validate it`,
    because: `${because}; with its bounds proven it can be attached without a scan`,
    locks: [exclusive(name)],
    cost: 'reads the partition',
    statements: [
      ...boundsProof(set, name, boundsText).map((statement, i) => (i === 0 ? statement : `${statement} not valid`)),
      sql`alter table ${table} validate constraint ${proof}`.text,
    ],
  }
}

/** Instead of one that there may be, a CHECK that says what the bounds say: with it no row is read to attach the table. */
export function boundsProof(set: PartitionedTable, name: TableName, boundsText: string): [drop: string, add: string] {
  const [table, proof] = [quoted(name), raw(PROOF)]
  return [
    sql`alter table ${table} drop constraint if exists ${proof}`.text,
    `${sql`alter table ${table} add constraint ${proof}`.text} check (${boundsCondition(set, boundsText)})`,
  ]
}

export function attachStep(
  set: PartitionedTable,
  { name, boundsText }: Detached,
  because = KEPT_AFTER_ALL,
): ShortLockStep {
  const table = quoted(name)
  return {
    kind: 'short lock',
    key: `attach:${display(name)}`,
    title: `attach ${display(name)} again`,
    because,
    cost: set.excludes
      ? 'its bounds are proven; an index by which rows exclude each other is built over it, while it is locked'
      : 'milliseconds: its bounds are proven',
    quiet: name,
    ...locksToAttach(set, name),
    statements: [
      ...dropExclusions(set, name),
      sql`alter table ${quoted(set.name)} attach partition ${table} ${raw(boundsText)}`.text,
      sql`alter table ${table} drop constraint if exists ${raw(PROOF)}`.text,
      dropGuard(name),
    ],
  }
}

/** Truncates a detached partition and attaches it again, in one transaction. */
export function refillStep(set: PartitionedTable, { name, boundsText }: Detached, divided: boolean): ShortLockStep {
  const place = quoted(name)
  return {
    kind: 'short lock',
    key: `truncate:${display(name)}`,
    title: `truncate ${display(name)} and attach it again`,
    because: 'its rows are archived',
    cost: 'milliseconds; its files are deleted after the commit',
    quiet: name,
    ...locksToAttach(set, name),
    statements: [
      dropGuard(name),
      sql`truncate table ${place}`.text,
      ...dropExclusions(set, name),
      divided
        ? attachInParts(set, name, boundsText)
        : sql`alter table ${quoted(set.name)} attach partition ${place} ${raw(boundsText)}`.text,
    ],
  }
}

/** What it has of the kind is not taken for the table's when it is attached: that makes another, or fails for a second primary key. */
function dropExclusions(set: PartitionedTable, name: TableName): string[] {
  if (!set.excludes) return []
  const place = literal(quoted(name).text).text
  return [
    `do $ebb$ declare own name; begin
    for own in select k.conname from pg_constraint k join pg_index i on i.indexrelid = k.conindid
      where k.conrelid = ${place}::regclass and k.contype in ('p', 'u', 'x') and k.conparentid = 0 and i.indisexclusion
    loop execute format('alter table %s drop constraint %I', ${place}, own); end loop;
  end $ebb$`,
  ]
}

/**
 * Attaches one, and then its own partitions to it: 17 and later give identity columns to what is attached, and not to its
 * partitions, and then refuse to detach it. They are empty, so no row is read.
 */
function attachInParts(set: PartitionedTable, name: TableName, boundsText: string): string {
  const place = quoted(name)
  const whole = sql`alter table ${quoted(set.name)} attach partition ${place} ${raw(boundsText)}`.text
  return `do $ebb$ declare
    names text[] := array(select inhrelid::regclass::text from pg_inherits where inhparent = ${literal(place.text).text}::regclass order by inhrelid);
    bounds text[] := array(select pg_get_expr(c.relpartbound, c.oid) from pg_inherits join pg_class c on c.oid = inhrelid
      where inhparent = ${literal(place.text).text}::regclass order by inhrelid);
  begin
    for i in 1 .. cardinality(names) loop execute format('alter table %s detach partition %s', ${literal(place.text).text}, names[i]); end loop;
    execute ${literal(whole).text};
    for i in 1 .. cardinality(names) loop execute format('alter table %s attach partition %s %s', ${literal(place.text).text}, names[i], bounds[i]); end loop;
  end $ebb$`
}

/**
 * With its own partitions, which can be written to by their names. Beside a DEFAULT partition the table itself is locked
 * first: an INSERT that waited for the DEFAULT alone would fail afterwards.
 */
export function locksToAttach(
  set: PartitionedTable,
  name: TableName,
): Pick<ShortLockStep, 'locks' | 'acquire' | 'workTimeoutMs'> {
  const beside = locksBeside(set)
  const parent: Lock = { table: set.name, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'milliseconds' }
  return {
    locks: [...(beside?.locks ?? [parent]), exclusive(name), ...set.references.map(exclusive)],
    acquire: [...(beside?.acquire ?? []), sql`lock table ${quoted(name)} in access exclusive mode`.text],
    ...(beside === null ? {} : { workTimeoutMs: beside.workTimeoutMs }),
  }
}

/** Which rows of a table belong to bounds. */
export function boundsCondition({ key }: Pick<PartitionedTable, 'key'>, boundsText: string): string {
  const bounds = parseBounds(boundsText)
  if (bounds?.kind !== 'range' || key === null)
    throw new Error(`bounds that were supported no longer are: ${boundsText}`)
  const column = ident(key.column)
  const value = (text: string) => sql`${literal(text)}::${raw(key.type)}`
  const parts = [
    sql`${column} is not null`,
    ...(bounds.from === null ? [] : [sql`${column} >= ${value(bounds.from)}`]),
    ...(bounds.to === null ? [] : [sql`${column} < ${value(bounds.to)}`]),
  ]
  return join(parts, ' and ').text
}
