import type { Store } from '../../archive/store.ts'
import type { Address } from '../../db/session.ts'
import { UsageError } from '../../errors.ts'
import { spanOfBounds } from '../../plan/language/hold.ts'
import type { BegunRetirement } from '../../plan/rotate/begun.ts'
import { shownBounds } from '../../plan/rotate/candidates.ts'
import { endOf, showMinute } from '../../plan/rotate/grace.ts'
import type { RotateRequest } from '../../plan/rotate/request.ts'
import type { Retirement, RotationPlan } from '../../plan/rotate/plan.ts'
import { display } from '../../sql/names.ts'
import type { Pace } from '../../pacing/throttle.ts'
import { removeLeftovers } from '../archive/leftovers.ts'
import { storeRemovals } from '../archive/removals.ts'
import { assertRestorable } from '../archive/restorable.ts'
import { assertNotTooWide } from '../archive/wide-rows.ts'
import { withTriedStore } from '../archive/with-store.ts'
import { withPace } from '../pace.ts'
import type { RetireContext } from './partition-step.ts'
import { withDestination, type Destination } from './destination.ts'
import { move } from './move.ts'
import { rewrite } from './rewrite.ts'
import { dropThere, removeMoved } from './remove-moved.ts'
import { finishLeftover, retire, watchLeftover, type Retired } from './retire.ts'
import { note, trying, type Draft } from './report.ts'

// Retires what has expired of a set, oldest first, and finishes what earlier rotations have begun: with an archive, by
// a move to another server, or neither.

/** Failures on a partition are in the report. */
export async function retireAll(
  retiring: Omit<RetireContext, 'store'>,
  request: RotateRequest,
  toUrl: Address | undefined,
  done: Draft,
): Promise<void> {
  await watchAll({ ...retiring, store: null }, done)
  const { to } = request
  if (to !== undefined) return moveAll({ ...retiring, store: null }, to, toUrl, done)
  await archiving(retiring, request, done, (store) => retireHere({ ...retiring, store }, done))
}

/** Whether there is something to retire that can be. */
function isDue({ finalize, leftovers, leftThere, retire }: RotationPlan): boolean {
  // PostgreSQL detaches no other partition before this one is finished; that it is not has been reported.
  return finalize.length === 0 && leftovers.length + leftThere.length + retire.length > 0
}

/**
 * Opens the store, if partitions are archived, and tries it before the first of them is detached: an outage then
 * changes nothing.
 */
async function archiving(
  { context, plan }: Omit<RetireContext, 'store'>,
  { archive }: RotateRequest,
  done: Draft,
  work: (store: Store | null) => Promise<void>,
): Promise<void> {
  if (archive === null) return isDue(plan) ? work(null) : undefined
  await removeLeftovers(context, 'rotate')
  await storeRemovals(context, 'rotate')
  if (!isDue(plan)) return
  await trying(context, done, `archive in ${archive.uri}`, async () => {
    await assertRestorable(context.session, plan.table)
    const partitions = plan.retire.map(({ partition }) => partition.name)
    await assertNotTooWide(context.session, partitions, archive)
    await withTriedStore(archive, context.signal, work)
  })
}

/** Partitions whose grace period has begun unwatched. */
async function watchAll(retiring: RetireContext, done: Draft): Promise<void> {
  for (const watching of retiring.plan.watch)
    await trying(retiring.context, done, watching.step.title, async () =>
      note(done, (await watchLeftover(retiring, watching)).lock),
    )
}

/** What is here does not wait for the other server; an outage of it changes nothing of what concerns it. */
async function moveAll(
  retiring: RetireContext,
  server: string,
  toUrl: Address | undefined,
  done: Draft,
): Promise<void> {
  const { context, plan } = retiring
  if (!isDue(plan)) return
  await atItsPace(retiring, done, async (pace) => {
    await finishLeftovers(retiring, pace, done)
    if (plan.leftThere.length + plan.retire.length === 0) return
    await trying(context, done, `move partitions to ${server}`, async () => {
      if (toUrl === undefined) throw new UsageError('nothing says how to reach it', 'Pass --to-url.')
      await withDestination(server, toUrl, context.signal, async (destination) => {
        await dropLeftThere(retiring, destination, pace, done)
        await retireExpired(retiring, pace, done, (retirement) => moveOrRemove(retiring, destination, retirement))
      })
    })
  })
}

function moveOrRemove(retiring: RetireContext, destination: Destination, retirement: Retirement): Promise<Retired> {
  const { moving, removing } = retirement
  if (moving !== null) return move(retiring, destination, retirement, moving)
  if (removing !== null) return removeMoved(retiring, destination, retirement, removing)
  throw new Error('beside a server to move to, nothing is retired otherwise')
}

async function dropLeftThere(retiring: RetireContext, destination: Destination, pace: Pace, done: Draft) {
  for (const removing of retiring.plan.leftThere) {
    await pace.turn(null)
    await trying(retiring.context, done, removing.drop.title, async () => {
      const { there, bounds } = removing.moved
      await dropThere(retiring, destination, removing)
      done.retired.push({
        partition: there,
        outcome: 'dropped',
        ...boundsOf({ bounds }, retiring.plan),
        rows: null,
        bytes: 0,
        receipt: null,
        goesFrom: null,
      })
    })
  }
}

async function retireHere(retiring: RetireContext, done: Draft): Promise<void> {
  await atItsPace(retiring, done, async (pace) => {
    await finishLeftovers(retiring, pace, done)
    await retireExpired(retiring, pace, done, (retirement) =>
      retirement.rewriting === null
        ? retire(retiring, retirement)
        : rewrite(retiring, retirement, retirement.rewriting),
    )
  })
}

async function atItsPace({ context, plan }: RetireContext, done: Draft, work: (pace: Pace) => Promise<void>) {
  await withPace(context, [plan.table], async (pace) => {
    try {
      await work(pace)
    } finally {
      done.pace = pace.summary()
    }
  })
}

async function finishLeftovers(retiring: RetireContext, pace: Pace, done: Draft): Promise<void> {
  for (const leftover of retiring.plan.leftovers) {
    await pace.turn(null)
    await trying(retiring.context, done, leftover.step.title, async () => {
      const { begun } = leftover
      const retired = await finishLeftover(retiring, leftover)
      note(done, retired.lock)
      done.retired.push({
        partition: begun.partition,
        outcome: retired.outcome,
        ...boundsOf(begun, retiring.plan),
        rows: begun.estimatedRows,
        bytes: begun.bytes,
        receipt: retired.receipt,
        goesFrom: null,
      })
    })
  }
}

/** For people. */
function boundsOf({ bounds }: Pick<BegunRetirement, 'bounds'>, { policy }: RotationPlan): { from: string; to: string } {
  if (policy === null) return { from: bounds, to: '' }
  return shownBounds(spanOfBounds(policy.kind, bounds), policy)
}

async function retireExpired(
  retiring: RetireContext,
  pace: Pace,
  done: Draft,
  retireOne: (retirement: Retirement) => Promise<Retired>,
): Promise<void> {
  const { context, plan } = retiring
  for (const retirement of plan.retire) {
    const { partition, method, shown, rows, bytes, grace } = retirement
    await pace.turn(null)
    const going = await trying(context, done, `${method} ${display(partition.name)}`, async () => {
      const retired = await retireOne(retirement)
      note(done, retired.lock)
      done.retired.push({
        partition: partition.name,
        outcome: retired.outcome,
        ...shown,
        rows,
        bytes,
        receipt: retired.receipt,
        goesFrom: grace === null ? null : showMinute(endOf(new Date(plan.at), grace, plan.policy)),
      })
    })
    if (!going) return
  }
}
