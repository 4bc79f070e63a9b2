import { inSnapshot, type Target } from '../db/session.ts'
import { planPartitionByCopy, type CopyRequest } from '../plan/partition-copy.ts'
import type { RebuildPlan } from '../plan/rebuild.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import {
  newTag,
  planCopy,
  readSearchPath,
  runCopy,
  withKeptRows,
  type CopyCommand,
  type CopyResult,
} from './copy-run.ts'
import { readSituation, type EngineOptions } from './partition.ts'

/** What would be done. Reads in READ ONLY transactions and changes nothing. */
export function planPartitionCopyOf(
  target: Target,
  written: WrittenName,
  request: CopyRequest,
  options: EngineOptions,
): Promise<RebuildPlan> {
  return planCopy(target, written, command(request, options), options)
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
  return runCopy(target, written, command(request, options), options)
}

function command(request: CopyRequest, options: EngineOptions): CopyCommand {
  return {
    name: 'partition-copy',
    request,
    readPlan: (session, server, name) =>
      inSnapshot(session, async () => {
        const searchPath = await readSearchPath(session)
        const situation = {
          ...(await readSituation(session, server, name, request, options)),
          searchPath,
          tag: newTag(),
        }
        return withKeptRows(session, situation.table, searchPath, (keptRows) =>
          planPartitionByCopy({ ...situation, keptRows }, request),
        )
      }),
  }
}
