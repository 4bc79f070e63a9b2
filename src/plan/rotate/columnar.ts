import type { ParentIndex } from '../../catalog/partitions/columnar-facts.ts'
import type { CitusTable } from '../../catalog/citus.ts'
import type { OwnPart } from '../../catalog/partitions/own-parts.ts'
import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { display, freeCompanion, quoted, type TableName } from '../../sql/names.ts'
import { ident, join, literal, raw, sql } from '../../sql/sql.ts'
import { showBytes, showDuration } from '../../text/units.ts'
import { exclusive } from '../language/locks.ts'
import type { Lock, RewriteStep, ShortLockStep } from '../language/step.ts'
import * as definitions from '../table/definitions.ts'
import { fingerprintOf } from '../table/fingerprint.ts'
import { partsAfter, partsBefore } from '../table/own-parts.ts'
import { ownersAlone, ownership } from '../table/privileges.ts'
import { secondsToCount } from './columnar-objections.ts'
import { dropStep } from './drop.ts'
import { onCitus } from './on-citus.ts'
import { boundsProof } from './reattach.ts'

// Stores a partition in columns, by Citus' access method: its rows stay in the table, and take a fraction of the space. They
// are copied into a columnar table while the partition stays in use, and then that takes its place.
//
// Citus' own alter_table_set_access_method is not used: it locks the partition on the coordinator alone, so that what others
// insert through a worker meanwhile is lost; everybody who writes to any partition waits while rows are copied, and who reads
// while indexes are built (docs/decisions.md).

/** Copying a partition into a columnar table, putting that in its place, and dropping what was there. */
export interface Rewriting {
  readonly copy: RewriteStep
  readonly exchange: ShortLockStep
  readonly drop: ShortLockStep
  /** What it drops: the partition, once the copy has its name. */
  readonly former: TableName
}

/** What a partition becomes a copy of, and what it is called once the copy has its name. */
interface Names {
  readonly copied: TableName
  readonly former: TableName
}

/** How long writers may wait while the rows are counted. */
const COUNTED_MS = 10_000
/** How long a statement may take while readers wait, too. */
const NAMES_MS = 1_000

export function rewritingOf(
  set: PartitionedTable,
  partition: Partition,
  indexes: readonly ParentIndex[],
  because: string,
  { role, taken }: { readonly role: string; readonly taken: ReadonlySet<string> },
): Rewriting {
  const { schema, name } = partition.name
  const names = {
    copied: { schema, name: freeCompanion(name, '_columnar', taken) },
    former: { schema, name: freeCompanion(name, '_rows', taken) },
  }
  return {
    copy: copyStep(set, partition, names, indexes, because, role),
    exchange: exchangeStep(set, partition, names),
    drop: dropFormer(set, names.former),
    former: names.former,
  }
}

/** Drops the rows of a partition that its columnar copy has replaced, or a copy that has replaced nothing. */
export function dropFormer(set: PartitionedTable, name: TableName): ShortLockStep {
  const because = 'its rows are in the table, in columns'
  return onCitus(set, { ...dropStep({ name, foreignKeys: [] }), because })
}

export function dropCopy(set: PartitionedTable, name: TableName): ShortLockStep {
  return onCitus(set, {
    ...dropStep({ name, foreignKeys: [] }),
    because: 'it is a copy that an interrupted rotation left',
  })
}

function copyStep(
  set: PartitionedTable,
  partition: Partition,
  { copied }: Names,
  indexes: readonly ParentIndex[],
  because: string,
  role: string,
): RewriteStep {
  const { name, boundsText, bytes, own, rowSecurity } = partition
  const columns = join(set.columns.filter(({ generated }) => !generated).map((one) => ident(one.name)))
  return {
    kind: 'rewrite',
    key: `copy:${display(name)}`,
    title: `copy ${display(name)} into a columnar table`,
    because,
    locks: [{ table: name, mode: 'ACCESS SHARE', blocks: 'nothing', held: 'all along' }],
    cost: `reads ${showBytes(bytes)} twice, and writes a fraction of it`,
    partition: name,
    copied,
    fingerprint: fingerprintOf(name, set.citus).text.trim(),
    statements: [
      sql`create table ${quoted(copied)} (like ${quoted(name)} including defaults including generated including constraints including comments) using columnar`
        .text,
      ...boundsProof(set, copied, boundsText),
      ...ownersAlone(copied, role, set.defaultGrantees),
      ...ownership(copied, set.owner, role),
      ...storing(set.citus, copied, name),
      sql`insert into ${quoted(copied)} (${columns}) select ${columns} from only ${quoted(name)}`.text,
      ...indexes.map((index) => indexOn(copied, index)),
      ...partsBefore(copied, own.filter(isCarried)),
      ...definitions.rowSecurity(copied, rowSecurity ? 'on' : 'off'),
      ...partsAfter(
        copied,
        own.filter(({ kind }) => kind === 'grant'),
        role,
      ),
    ],
    analyze: sql`analyze ${quoted(copied)}`.text,
  }
}

/** Besides what `like` brings. */
function isCarried({ kind }: OwnPart): boolean {
  return ['primary key', 'unique', 'index', 'policy'].includes(kind)
}

/** As the partition is stored, so that attaching the copy moves no row. */
function storing(citus: CitusTable | undefined, copied: TableName, like: TableName): string[] {
  const name = literal(quoted(copied).text)
  if (citus === undefined) return []
  if (citus.kind === 'managed local') return [sql`select citus_add_local_table_to_metadata(${name})`.text]
  const column = citus.distributionColumn === null ? raw('null') : literal(citus.distributionColumn)
  return [sql`select create_distributed_table(${name}, ${column}, colocate_with => ${literal(quoted(like).text)})`.text]
}

/** Attaching would build it under lock, where there is none like it. */
function indexOn(copied: TableName, { constraint, unique, tail }: ParentIndex): string {
  return constraint === null
    ? sql`create ${raw(unique ? 'unique ' : '')}index on ${quoted(copied)} ${raw(tail)}`.text
    : sql`alter table ${quoted(copied)} add ${raw(constraint)}`.text
}

/**
 * Writers are kept away first: when they are, the partition is compared with what was copied. Only then does anybody wait who
 * reads, while names are exchanged.
 */
function exchangeStep(set: PartitionedTable, partition: Partition, names: Names): ShortLockStep {
  const { name, boundsText } = partition
  const [parent, place, copied] = [quoted(set.name), quoted(name), quoted(names.copied)]
  const [proof] = boundsProof(set, name, boundsText)
  return onCitus(set, {
    kind: 'short lock',
    key: `exchange:${display(name)}`,
    title: `replace ${display(name)} by its columnar copy`,
    because: 'its rows are the same',
    locks: [writes(set.name), exclusive(set.name), exclusive(name)],
    cost: `whoever writes to ${display(set.name)} waits while the rows of the partition are counted, about ${showDuration(secondsToCount(set, [partition]))} and 10 s at most; readers wait for milliseconds`,
    quiet: name,
    acquire: [
      sql`lock table only ${parent} in share row exclusive mode`.text,
      sql`lock table only ${place} in share row exclusive mode`.text,
    ],
    workTimeoutMs: COUNTED_MS,
    statements: [
      `set local statement_timeout = ${NAMES_MS}`,
      sql`lock table only ${parent} in access exclusive mode`.text,
      sql`alter table ${parent} detach partition ${place}`.text,
      sql`alter table ${place} rename to ${ident(names.former.name)}`.text,
      sql`alter table ${copied} rename to ${ident(name.name)}`.text,
      sql`alter table ${parent} attach partition ${place} ${raw(boundsText)}`.text,
      proof,
    ],
  })
}

function writes(table: TableName): Lock {
  return { table, mode: 'SHARE ROW EXCLUSIVE', blocks: 'writes', held: 'all along' }
}
