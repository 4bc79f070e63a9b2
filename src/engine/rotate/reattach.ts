import type { PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { endRetirement, rememberNewest } from '../../journal/rotations.ts'
import { exclusive } from '../../plan/language/locks.ts'
import type { Newest } from '../../plan/rotate/begun.ts'
import type { ShortLockStep } from '../../plan/language/step.ts'
import type { LockTimes } from '../../events.ts'
import { display, quoted } from '../../sql/names.ts'
import { ident, join, literal, raw, sql } from '../../sql/sql.ts'
import { brief, isDetached, rangeIn, write, type Leaving, type RetireContext } from './partition-step.ts'
import { watched } from '../watch.ts'

// A detached partition comes back, for a row in it is to be kept after all.

/**
 * Somebody has written a row that is to be kept. PostgreSQL would read the
 * whole partition under lock to know that it fits: the CHECK proves it before.
 */
export async function attachAgain(retiring: RetireContext, partition: Leaving, newest: Newest): Promise<LockTimes> {
  const { context, set } = retiring
  await proveBounds(retiring, partition)
  const table = quoted(partition.name)
  const step: ShortLockStep = {
    kind: 'short lock',
    key: `attach:${display(partition.name)}`,
    title: `attach ${display(partition.name)} again`,
    because: 'a row in it is to be kept after all',
    locks: [
      { table: set.name, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'milliseconds' },
      ...set.references.map(exclusive),
    ],
    cost: 'milliseconds: that its rows fit is proven',
    quiet: partition.name,
    acquire: [],
    statements: [
      sql`alter table ${quoted(set.name)} attach partition ${table} ${raw(partition.boundsText)}`.text,
      sql`alter table ${table} drop constraint ${raw(PROOF)}`.text,
    ],
  }
  return brief(
    retiring,
    step,
    async () => {
      await write(retiring, partition, 'reattached')
      await endRetirement(context.session, context.journalSchema, partition.oid)
      await rememberNewest(context.session, context.journalSchema, set.name, partition, newest)
    },
    () => isDetached(retiring, partition),
  )
}

const PROOF = 'ebb_bounds'

/** Says and validates that the rows lie within the bounds. */
async function proveBounds(retiring: RetireContext, partition: Leaving): Promise<void> {
  const { context, set } = retiring
  const condition = boundsCondition(set, partition)
  const table = quoted(partition.name)
  const work = async () => {
    await context.session.query(sql`alter table ${table} drop constraint if exists ${raw(PROOF)}`)
    await context.session.query(
      `${sql`alter table ${table} add constraint ${raw(PROOF)}`.text} check (${condition}) not valid`,
    )
    await context.session.query(sql`alter table ${table} validate constraint ${raw(PROOF)}`)
  }
  await watched(context.control, context.pid, context.observer, work)
}

function boundsCondition(set: PartitionedTable, { boundsText }: Leaving): string {
  const bounds = rangeIn(boundsText)
  const key = set.key
  if (bounds === null || key === null) throw new Error(`bounds that were understood no longer are: ${boundsText}`)
  const column = ident(key.column)
  const value = (text: string) => sql`${literal(text)}::${raw(key.type)}`
  const parts = [
    sql`${column} is not null`,
    ...(bounds.from === null ? [] : [sql`${column} >= ${value(bounds.from)}`]),
    ...(bounds.to === null ? [] : [sql`${column} < ${value(bounds.to)}`]),
  ]
  return join(parts, ' and ').text
}
