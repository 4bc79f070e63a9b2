import type { Run } from '../../journal/journal.ts'
import type { CandidateRequest } from '../../plan/purge/candidates.ts'
import type { MarkRequest } from '../../plan/purge/mark.ts'
import type { CopyRequest } from '../../plan/partition/partition-copy.ts'
import type { PurgeRequest } from '../../plan/purge/purge.ts'
import type { RebuildRequest } from '../../plan/copy/rebuild.ts'
import type { PartitionRequest } from '../../plan/language/policy.ts'
import { fromStored } from '../../plan/language/stored.ts'
import type { Command } from '../command.ts'
import { candidatesCommand } from './candidates.ts'
import { copyCommand } from '../copy/run.ts'
import { markCommand } from './mark.ts'
import type { PlanOptions } from '../options.ts'
import { partitionCopyCommand } from './partition-copy.ts'
import { partitionCommand } from './partition.ts'
import { purgeCommand } from './purge.ts'
import { rebuildCommand } from './rebuild.ts'
import type { KnownRun, Plans } from '../runs/known.ts'
import { rollbackCommand, type RollbackRequest } from '../runs/rollback-command.ts'
import { splitCommand, type SplitOrder } from './split.ts'
import { viewCommand, type ViewOrder } from './view.ts'

/** What each command is asked for. */
interface Requests {
  readonly partition: PartitionRequest
  readonly 'partition-copy': CopyRequest
  readonly rebuild: RebuildRequest
  readonly split: SplitOrder
  readonly purge: PurgeRequest
  readonly mark: MarkRequest
  readonly view: ViewOrder
  readonly candidates: CandidateRequest
  readonly rollback: RollbackRequest
}

type Maker<Name extends keyof Plans> = (request: Requests[Name], options: PlanOptions) => Command<Plans[Name]>

const MAKERS: { readonly [Name in keyof Plans]: Maker<Name> } = {
  partition: partitionCommand,
  'partition-copy': (request, options) => copyCommand(partitionCopyCommand(request, options), options),
  rebuild: (request, options) => copyCommand(rebuildCommand(request, options), options),
  split: (request, options) => copyCommand(splitCommand(request, options), options),
  purge: purgeCommand,
  mark: markCommand,
  view: viewCommand,
  candidates: candidatesCommand,
  rollback: rollbackCommand,
}

/** The command that a run carries out, with the request it was given. */
export function commandOf<Known extends KnownRun>(
  { command, request }: Pick<Known, 'command'> & Pick<Run, 'request'>,
  options: PlanOptions,
): Command<Known['plan']> {
  const make = MAKERS[command] as (request: unknown, options: PlanOptions) => Command<Known['plan']>
  return make(fromStored(request), options)
}
