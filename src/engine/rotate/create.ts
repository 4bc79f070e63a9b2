import { readExits, type DefaultPartition } from '../../catalog/partitions/default-partition.ts'
import type { PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { recordLeaf } from '../copy/captured.ts'
import { recordRotation } from '../../journal/rotations.ts'
import type { Creation } from '../../plan/rotate/runway.ts'
import type { LockLimits } from '../locks/short-locks.ts'
import { perform, type Looked, type StepsContext } from './partition-step.ts'
import { changed } from '../steps/detach.ts'
import type { WholeStep } from '../../plan/language/step.ts'
import { canonicalJson } from '../../plan/language/stored.ts'
import type { TableContext } from '../table-context.ts'
import { note, trying, type Draft } from './report.ts'

/**
 * Drops the CHECK that an interrupted rotation has left on the DEFAULT partition, for it rejects rows. Whether there was
 * one: where it was valid, it has proven what nothing proves from now on.
 */
export async function readmit(
  context: TableContext,
  { plan: { readmit: step } }: Looked,
  lockLimits: LockLimits,
  done: Draft,
): Promise<boolean> {
  if (step === null) return false
  await trying(context, done, step.title, async () =>
    note(done, await perform({ context, lockLimits, steps: [step] }, step, { alongside: () => [] })),
  )
  return true
}

/**
 * Partitions ahead. The CHECK that excludes their range from a large DEFAULT is dropped whatever becomes of them, also
 * when the rotation is stopped, for it rejects rows; of one that is killed the next rotation finds it.
 */
export async function createAll(
  context: TableContext,
  looked: Looked,
  lockLimits: LockLimits,
  done: Draft,
): Promise<void> {
  const { exclusion } = looked.plan
  if (looked.plan.readmit !== null) return // it could not be dropped
  const steps = [
    ...(exclusion === null ? [] : [exclusion.add, exclusion.validate]),
    ...looked.plan.create.map(({ step }) => step),
    ...(exclusion === null ? [] : [exclusion.drop]),
  ]
  const creating = { context, lockLimits, steps }
  const beside = (step: WholeStep) =>
    trying(context, done, step.title, async () => note(done, await perform(creating, step, { alongside: () => [] })))
  if (exclusion === null) return createEach(creating, looked, done)
  try {
    if ((await beside(exclusion.add)) && (await beside(exclusion.validate))) await createEach(creating, looked, done)
  } finally {
    const unstoppable = { ...context, signal: new AbortController().signal }
    await trying(unstoppable, done, exclusion.drop.title, async () =>
      note(done, await perform({ ...creating, context: unstoppable }, exclusion.drop, { alongside: () => [] })),
    )
  }
}

async function createEach(creating: StepsContext, { situation, plan }: Looked, done: Draft): Promise<void> {
  const { context } = creating
  const { set, fallback } = situation
  for (const creation of plan.create) {
    const { step, partition, shown, rows } = creation
    const going = await trying(context, done, step.title, async () => {
      const lock = await perform(creating, step, {
        ...(fallback === null || rows === 0 ? {} : { check: () => exitsAsPlanned(context, fallback) }),
        alongside: () => recordCreated(context, set, creation),
      })
      note(done, lock)
      done.created.push({ partition, ...shown, moved: rows })
    })
    if (!going) return
  }
}

/** Under the lock: nothing has come since that would act on the rows that are moved. */
async function exitsAsPlanned(
  { session, journalSchema }: TableContext,
  { partition, exits }: DefaultPartition,
): Promise<void> {
  const present = await readExits(session, partition.oid, journalSchema)
  if (canonicalJson(present) !== canonicalJson(exits))
    throw changed(partition.name, 'its columns, triggers, rules or foreign keys are others by now')
}

function recordCreated(
  { session, journalSchema }: TableContext,
  set: PartitionedTable,
  { partition, text }: Creation,
): readonly Promise<void>[] {
  const entry = { table: set.name, partition, action: 'created', ...text, bytes: null, estimatedRows: null } as const
  return [recordLeaf(session, journalSchema, set.oid, partition), recordRotation(session, journalSchema, entry)]
}
