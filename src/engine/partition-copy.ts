import { inSnapshot, type Target } from '../db/session.ts'
import { planPartitionByCopy, type CopyRequest } from '../plan/partition-copy.ts'
import type { RebuildPlan } from '../plan/rebuild.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { isPartitionedAlready, type Command } from './agreed.ts'
import { planCopy, runCopy, withKeptRows, type CopyResult } from './copy-run.ts'
import type { EngineOptions } from './options.ts'
import { readSituation } from './partition.ts'
import { newTag } from './tag.ts'

/** What would be done. Reads in READ ONLY transactions and changes nothing. */
export function planPartitionCopyOf(
  target: Target,
  written: WrittenName,
  request: CopyRequest,
  options: EngineOptions,
): Promise<RebuildPlan> {
  return planCopy(target, written, commandOf(request, options), options)
}

/**
 * Converts a table into partitions by copying the rows worth keeping, or goes
 * on with a conversion that was interrupted.
 *
 * @throws {ObjectionsError} when there are reasons not to start
 */
export function partitionByCopy(
  target: Target,
  written: WrittenName,
  request: CopyRequest,
  options: EngineOptions,
): Promise<CopyResult> {
  return runCopy(target, written, commandOf(request, options), options)
}

function commandOf(request: CopyRequest, options: EngineOptions): Command<RebuildPlan> {
  return {
    name: 'partition-copy',
    request,
    isCarriedOut: isPartitionedAlready,
    refused: (plan) => ({ ...plan, rebuild: null }),
    readPlan: (session, server, name) =>
      inSnapshot(session, async () => {
        const situation = {
          ...(await readSituation(session, server, name, request, options)),
          tag: newTag(),
        }
        return withKeptRows(session, situation.table, situation.settings, (keptRows) =>
          planPartitionByCopy({ ...situation, keptRows }, request),
        )
      }),
  }
}
