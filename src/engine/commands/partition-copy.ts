import { inSnapshot, type Target } from '../../db/session.ts'
import { planPartitionByCopy, type CopyRequest, type CopySituation } from '../../plan/partition/partition-copy.ts'
import type { RebuildPlan } from '../../plan/copy/rebuild.ts'
import type { WrittenName } from '../../sql/parse-name.ts'
import { isPartitionedAlready, type Command } from '../command.ts'
import { planCopy, readKeptRows, runCopy, type CopyResult } from '../copy/run.ts'
import type { EngineOptions, PlanOptions } from '../options.ts'
import { readSituation, verifySituation, withType } from './partition.ts'
import { newNameSuffix } from '../name-suffix.ts'

/** What would be done. Reads in READ ONLY transactions and changes nothing. */
export function planPartitionCopyOf(
  target: Target,
  written: WrittenName,
  request: CopyRequest,
  options: EngineOptions,
): Promise<RebuildPlan> {
  return planCopy(target, written, partitionCopyCommand(request, options), options)
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
  return runCopy(target, written, partitionCopyCommand(request, options), options)
}

export function partitionCopyCommand(request: CopyRequest, options: PlanOptions): Command<RebuildPlan, CopySituation> {
  return {
    name: 'partition-copy',
    request,
    isCarriedOut: isPartitionedAlready,
    refused: (plan) => ({ ...plan, rebuild: null }),
    read: (session, server, name) =>
      inSnapshot(session, async () => {
        const situation = {
          ...(await readSituation(session, server, name, request, options)),
          tag: newNameSuffix(),
        }
        const keptRows = await readKeptRows(session, situation.table, situation.settings, (keptRows) =>
          planPartitionByCopy({ ...situation, keptRows }, request),
        )
        return { ...situation, keptRows }
      }),
    plan: (situation) => planPartitionByCopy(withType(situation), request),
    verify: verifySituation,
  }
}
