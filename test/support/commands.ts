import type { Target } from '../../src/db/session.ts'
import type { Command, CommandOutcome, StorablePlan } from '../../src/engine/command.ts'
import * as candidateWriting from '../../src/engine/commands/candidates.ts'
import * as marking from '../../src/engine/commands/mark.ts'
import * as copying from '../../src/engine/commands/partition-copy.ts'
import * as partitioning from '../../src/engine/commands/partition.ts'
import * as purging from '../../src/engine/commands/purge.ts'
import * as rebuilding from '../../src/engine/commands/rebuild.ts'
import * as splitting from '../../src/engine/commands/split.ts'
import * as viewing from '../../src/engine/commands/view.ts'
import type { EngineOptions } from '../../src/engine/options.ts'
import { planCommand } from '../../src/engine/plan-command.ts'
import { carryOut } from '../../src/engine/run.ts'
import type { WrittenName } from '../../src/sql/parse-name.ts'

// Each command as two functions.

function planning<Request, Plan extends StorablePlan>(command: Command<Request, Plan, unknown, CommandOutcome>) {
  return (target: Target, table: WrittenName, request: Request, options: EngineOptions) =>
    planCommand(target, table, command, request, options)
}

function carrying<Request, Outcome extends CommandOutcome>(command: Command<Request, StorablePlan, unknown, Outcome>) {
  return (target: Target, table: WrittenName, request: Request, options: EngineOptions) =>
    carryOut(target, table, command, request, options)
}

export const partition = carrying(partitioning.partition)
export const planPartitionOf = planning(partitioning.partition)
export const partitionByCopy = carrying(copying.partitionByCopy)
export const planPartitionCopyOf = planning(copying.partitionByCopy)
export const rebuild = carrying(rebuilding.rebuild)
export const planRebuildOf = planning(rebuilding.rebuild)
export const split = carrying(splitting.split)
export const planSplitOf = planning(splitting.split)
export const purge = carrying(purging.purge)
export const planPurgeOf = planning(purging.purge)
export const mark = carrying(marking.mark)
export const planMarkOf = planning(marking.mark)
export const writeCandidates = carrying(candidateWriting.candidates)
export const planCandidatesOf = planning(candidateWriting.candidates)
export const keepView = carrying(viewing.view)
export const planViewOf = planning(viewing.view)
