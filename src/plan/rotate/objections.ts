import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { displayPosition, type KeyKind, type Position } from '../../grid/key.ts'
import { displayInterval, type Interval } from '../../grid/interval.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { shellWord } from '../../text/shell-word.ts'
import { ident } from '../../sql/sql.ts'
import { objection } from '../language/objection.ts'
import type { RotateRequest } from './request.ts'
import type { SetPolicy } from '../language/policy.ts'
import type { Objection } from '../language/step.ts'
import { plural } from '../../text/units.ts'

// Why a set cannot be rotated, or why its partitions are not retired. The second kind does not affect new partitions:
// no insert fails because an old partition could not be retired.

export function notPartitioned(name: TableName, isRegistered: boolean): Objection {
  return isRegistered
    ? objection(
        'gone',
        `${display(name)}, which is registered in the journal, is no longer a partitioned table`,
        `If it is to remain one without partitions, remove its registration: ${forgetting(name)}`,
      )
    : objection(
        'not-partitioned',
        `${display(name)} is not partitioned`,
        `Convert it first: ebb partition ${display(name)} …`,
      )
}

/** A registered table, or one with a policy, that has another name now. */
export function renamed(before: TableName, now: TableName): Objection {
  return objection(
    'renamed',
    `${display(before)} was renamed to ${display(now)}: nothing is created ahead for it, and nothing removed from it`,
    `Rename it back; or name it as it is called now, in the config or by ebb rotate ${display(now)} --keep … --execute, which ends the registration of ${display(before)}. To rotate it no more: ${forgetting(before)}`,
  )
}

function forgetting(name: TableName): string {
  return `ebb rotate --forget ${shellWord(display(name))} --execute`
}

/** A set that cannot be rotated at all, or not by this role. */
export function setObjections(set: PartitionedTable, role: string): Objection[] {
  const name = display(set.name)
  if (set.key === null)
    return [
      objection(
        'not-by-range',
        `${name} is partitioned by ${set.strategy === 'range' ? 'several columns, an expression, or an unsupported type' : set.strategy}`,
        `Only tables partitioned by range on one timestamptz, timestamp, date, integer or UUIDv7 column can be rotated.${eachByItself(set)}`,
      ),
    ]
  const owner = ident(set.owner).text
  if (!set.actAsOwner)
    return [
      objection(
        'not-owner',
        `${name} belongs to ${set.owner}, and ${role} is not a member of that role`,
        `Connect as ${set.owner}, or have an administrator run: grant ${owner} to ${ident(role).text};`,
      ),
    ]
  if (!set.createInSchema)
    return [
      objection(
        'no-create',
        `${set.owner} may not create tables in schema ${set.name.schema}, where the partitions would be created`,
        `As its owner: grant create on schema ${ident(set.name.schema).text} to ${owner};`,
      ),
    ]
  return []
}

/** Partitions that are partitioned by time below a list or hash are sets of their own. */
function eachByItself({ partitions }: PartitionedTable): string {
  const divided = partitions.filter(({ tree }) => tree !== null && tree.by.startsWith('RANGE'))
  return divided.length === 0
    ? ''
    : ` Its partitions are: ebb rotate ${divided.map(({ name }) => shellWord(display(name))).join(' ')}`
}

export function policyDiffers(set: PartitionedTable, column: string): Objection {
  return objection(
    'other-key',
    `the registered policy of ${display(set.name)} is by ${column}, and the table is partitioned by ${set.key?.column ?? 'something else'}`,
    `It is not the table that was registered: remove that registration (${forgetting(set.name)}), then register this one: ebb rotate ${shellWord(display(set.name))} --keep … --execute`,
  )
}

export function unfinishedRun(name: TableName, id: string, command: string): Objection {
  return objection(
    'unfinished-run',
    `run ${id} (ebb ${command}) on ${display(name)} is unfinished`,
    `Finish it first with ebb resume ${id}, or undo it with ebb abandon ${id}.`,
  )
}

export function noExpiry(set: PartitionedTable, policy: SetPolicy): Objection {
  return objection(
    'expire-by',
    `${display(set.name)} is partitioned by id, and no time column is registered by which its rows expire`,
    `Rows without an age cannot expire: rotate without --keep, or name the column in a config: ${expiringIn(policy)}`,
  )
}

export function noSuchExpiry(set: PartitionedTable, policy: SetPolicy): Objection {
  return objection(
    'expire-by',
    `${display(set.name)} has no time column ${JSON.stringify(policy.expireBy)}, by which its policy says its rows expire`,
    `If it was renamed, name it as it is called now in a config: ${expiringIn(policy)}`,
  )
}

/** Where the column by which rows expire can be named of a table that is partitioned already. */
function expiringIn({ column, every }: SetPolicy): string {
  const width = every.kind === 'ids' ? String(every.ids) : displayInterval(every.interval)
  return `partition: { by: ${column}, every: ${width}, expireBy: … }, and carry it out: ebb run --execute`
}

export function shorterKeepObjection(name: TableName, keep: Interval, registered: Interval | null): Objection {
  return {
    code: 'shorter-keep',
    what: `--keep says ${displayInterval(keep)}, and ${describeKeep(registered)} registered for ${display(name)}`,
    fix: 'Omit --keep, or pass one that is not shorter; if the rows in between may be removed: --accept shorter-keep',
    acceptable: true,
  }
}

export function shorterGraceObjection(name: TableName, grace: Interval, registered: Interval): Objection {
  return {
    code: 'shorter-grace',
    what: `--grace says ${displayInterval(grace)}, and ${describeKeep(registered)} registered for ${display(name)}`,
    fix: 'Omit --grace, or pass one that is not shorter; if partitions may be dropped earlier, also those detached before: --accept shorter-grace',
    acceptable: true,
  }
}

/** `3 years are`: what is registered. */
export function describeKeep(registered: Interval | null): string {
  if (registered === null) return 'no retention period (all rows are kept) is'
  return `${displayInterval(registered)} ${registered.count === 1 ? 'is' : 'are'}`
}

export function archiveObjection(method: RotateRequest['retire'], count: number): Objection {
  return objection(
    'archive',
    `${plural(count, 'partition')} would be lost with --retire ${method}, because nothing says where to archive them`,
    'Pass --archive <uri>; or --no-archive if the rows may be removed without an archive; or --retire detach to keep the partitions as separate tables.',
  )
}

export function truncateObjection(set: PartitionedTable): Objection {
  const keys = set.inboundForeignKeys.map(({ name, table }) => `${name} of ${display(table)}`).join(', ')
  return objection(
    'truncate-referenced',
    `partitions of ${display(set.name)} cannot be truncated, because foreign keys reference it: ${keys}`,
    'Use --retire drop or --retire detach: a partition whose rows are no longer referenced can be detached.',
  )
}

/** Signs that the server's clock is wrong. */
export interface ClockDoubt {
  readonly now: bigint
  readonly newest: Position
  readonly kind: KeyKind
  readonly timezone: string
  readonly keep: Interval
  readonly count: number
}

export function clockObjection({ now, newest, kind, timezone, keep, count }: ClockDoubt): Objection {
  return {
    code: 'clock',
    what: `the server’s clock says ${displayPosition('timestamptz', now, timezone)}, the newest row is of ${displayPosition(kind, newest, timezone)}; with ${displayInterval(keep)} kept, ${plural(count, 'partition')} would be retired`,
    fix: 'Check the clock and what writes to this table; if both are right: --accept clock',
    acceptable: true,
  }
}

export function clockUnchecked(set: PartitionedTable, column: string, count: number): Objection {
  const hidden = set.partitions.filter(({ rowsHidden }) => rowsHidden)
  const [why, fix] =
    hidden.length === 0
      ? ['could not be found within a minute', `Create an index on ${ident(column).text}`]
      : ['cannot be told, for row-level security hides rows from this role', READING_ALL]
  return {
    code: 'clock',
    what: `the newest row of ${display(set.name)} ${why}, so the server’s clock cannot be checked before ${plural(count, 'partition')} are retired`,
    fix: `${fix}; or, if the clock is right: --accept clock`,
    acceptable: true,
  }
}

const READING_ALL = 'Connect as a role with BYPASSRLS'

/** Rows that this role does not see cannot be archived, nor moved. */
export function rowsHidden(partitions: readonly Pick<Partition, 'name'>[], so: string): Objection {
  const names = partitions.map(({ name }) => display(name))
  const lifted = partitions.map(({ name }) => `alter table ${quoted(name).text} no force row level security;`)
  return objection(
    'row-security',
    `row-level security hides rows of ${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''} from this role, so ${so}`,
    `${READING_ALL}; or, if it is forced on the owner, lift that for the time being: ${lifted.join(' ')}`,
  )
}
