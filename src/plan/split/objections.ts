import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { display } from '../../sql/names.ts'
import { captureObjections } from '../copy/capture.ts'
import { copyKeyObjections, type CopyKey } from '../copy/key.ts'
import { leftOutObjections } from '../copy/left-out.ts'
import { constraintTriggerObjections } from '../table/constraint-triggers.ts'
import { siblingObjections } from '../table/own-parts.ts'
import { objection, unaccepted, when } from '../language/objection.ts'
import type { Layout } from '../partition/partitioned-shadow.ts'
import { expiryKind, isShorter } from '../rotate/horizon.ts'
import { shorterKeepObjection } from '../rotate/objections.ts'
import { lostByDetaching } from '../table/shadow.ts'
import type { SplitRequest, SplitSituation } from './situation.ts'
import type { Objection } from '../language/step.ts'
import { keyTriggerObjections } from '../table/objections/trigger.ts'
import { publishedCopyObjections } from '../table/objections/publication.ts'

/** What stands against exchanging the wide partition for these. */
export function splitObjections(
  { set, parent, partition, policy, server, accepted = [], triggerCode = [] }: SplitSituation,
  request: SplitRequest,
  layout: Layout,
  key: CopyKey | null,
): Objection[] {
  const name = display(partition.name)
  return [
    ...copyKeyObjections(parent, key),
    ...captureObjections(parent),
    ...publishedCopyObjections(parent),
    ...constraintTriggerObjections(parent, server.superuser, () => false),
    ...when(partition.range?.to == null && !partition.isDefault, () =>
      objection(
        'unbounded',
        `${name} has no upper bound`,
        'Split the partitions that end somewhere; this one takes what comes.',
      ),
    ),
    ...(partition.isDefault ? defaultObjections(set, partition, layout) : []),
    ...when(!partition.isDefault && layout.cells.length < 2 && request.keep === null, () =>
      objection('not-wide', `${name} is no wider than one partition`, 'There is nothing to split.'),
    ),
    ...when(request.keep !== null && expiryKind(set, policy) === null, () =>
      objection(
        'expire-by',
        `nothing tells how old a row of ${display(set.name)} is: it is partitioned by id, and no time column is registered by which its rows expire`,
        'Keep all rows, or register such a column (ebb partition … --expire-by).',
      ),
    ),
    ...unaccepted(
      [
        ...siblingObjections(set),
        ...keyTriggerObjections(triggerCode, policy.column),
        ...shorterKeep({ set, policy, server }, request),
      ],
      accepted,
    ),
    ...when(set.excludes, () =>
      objection(
        'excludes',
        `rows of ${display(set.name)} exclude each other by an index (EXCLUDE or WITHOUT OVERLAPS): PostgreSQL would build it again, for every new partition, under the lock of the exchange, and refuses a second primary key`,
        'Let the partition expire as a whole; or drop the constraint before, and add it again afterwards.',
      ),
    ),
    ...set.inboundForeignKeys.map((one) =>
      objection(
        `inbound:${one.name}`,
        `foreign key ${one.name} of ${display(one.table)} points at ${display(set.name)}: exchanging partitions would check its rows under lock`,
        'Drop it before, and add it again afterwards, NOT VALID and then validated.',
      ),
    ),
    ...lostByDetaching(parent, server.version).map((one) =>
      objection(
        `lost-foreign-key:${one.name}`,
        `foreign key ${one.name} points at a partitioned table, and PostgreSQL 14 damages such a one of a table that is detached, as the new partitions are from where they are filled`,
        'Update to 15 or later, or drop it before and add it again afterwards.',
      ),
    ),
    ...partition.dependents.map((dependent) =>
      objection(
        `dependent:${dependent}`,
        `${dependent} depends on ${name} itself`,
        'Let it read from the partitioned table.',
      ),
    ),
    ...leftOutObjections(request),
  ]
}

function defaultObjections(set: PartitionedTable, partition: Partition, { cells }: Layout): Objection[] {
  const name = display(partition.name)
  const odd = set.partitions.find(({ oid, range }) => oid !== partition.oid && (range === null || !range.toIsExact))
  return [
    ...when(cells.length === 0, () =>
      objection('not-wide', `no row of ${name} lies where a partition is missing`, 'There is nothing to split.'),
    ),
    ...when(partition.kind !== 'table', () =>
      objection('not-a-table', `${name} is not a plain table`, 'Move its rows yourself, and detach it.'),
    ),
    ...when(odd !== undefined, () =>
      objection(
        'default-bounds',
        `the bounds of ${display((odd as Partition).name)} are not supported (${(odd as Partition).boundsText}), so what ${name} takes cannot be said`,
        'Detach that partition for the time of the run.',
      ),
    ),
  ]
}

function shorterKeep(
  { set, policy, server }: Pick<SplitSituation, 'set' | 'policy' | 'server'>,
  { keep }: SplitRequest,
): Objection[] {
  const kind = expiryKind(set, policy)
  const { keep: registered, timezone } = policy
  if (keep === null || registered === null || kind === null) return []
  return when(isShorter(keep, registered, { kind, timezone }, BigInt(server.now)), () =>
    shorterKeepObjection(set.name, keep, registered),
  )
}
