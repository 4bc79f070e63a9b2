import { EbbError, ObjectionsError, UsageError } from '../errors.ts'
import { abandon, resume, rollback } from '../library/runs.ts'
import type { DatabaseOptions } from '../library/options.ts'
import type { MigrationCall } from '../journal/migration-files.ts'
import { objection } from '../plan/language/objection.ts'
import type { Migrating } from './migrating.ts'

/** What can be taken back: the rows are still there. */
const REVERSIBLE = ['partition', 'rebuild', 'split']

/**
 * Takes back what the calls of a migration have done, the last first: abandons an unfinished run, rolls back one that is
 * done. Repeated after an interruption, it goes on.
 *
 * @throws {ObjectionsError} before anything is undone, if some of it cannot be
 */
export async function rollBack(
  { target, options: { journalSchema, observer, signal } }: Migrating,
  name: string,
  calls: readonly MigrationCall[],
): Promise<void> {
  const begun = calls.filter(({ direction, ended, status }) => direction === 'up' && isInForce(ended, status))
  assertReversible(name, begun)
  for (const { runId, status } of begun.toReversed())
    if (runId !== null) await takeBack(target, runId, status === 'running', { journalSchema, observer, signal })
}

/** A call without a run has found nothing to do, or keeps no record of it. */
function isInForce(ended: boolean, status: MigrationCall['status']): boolean {
  return status === null ? ended : status === 'done' || status === 'running'
}

function assertReversible(name: string, begun: readonly MigrationCall[]): void {
  const objections = begun
    .filter(({ command }) => !REVERSIBLE.includes(command))
    .map(({ command, table }) =>
      objection(
        'irreversible',
        `${command} of ${table} cannot be taken back`,
        'Write into down what is to be done instead, or leave the migration applied.',
      ),
    )
  if (objections.length > 0) throw new ObjectionsError(`undo migration ${name}`, { objections })
}

async function takeBack(
  target: Migrating['target'],
  runId: string,
  unfinished: boolean,
  options: DatabaseOptions,
): Promise<void> {
  const run = { ...options, run: BigInt(runId), execute: true } as const
  if (unfinished && (await isAbandoned(target, run))) return
  await rollback(target, run)
}

/** False once its tables have changed places: then it is finished first. */
async function isAbandoned(
  target: Migrating['target'],
  run: DatabaseOptions & { readonly run: bigint; readonly execute: true },
): Promise<boolean> {
  try {
    const { swapped } = await abandon(target, run)
    return swapped !== true
  } catch (error) {
    if (error instanceof UsageError || !(error instanceof EbbError) || error.kind !== 'objections') throw error
    await resume(target, run)
    return false
  }
}
