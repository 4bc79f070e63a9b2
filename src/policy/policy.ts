import type { Flag, StalePurgeRequest } from '../engine/commands/purge-stale.ts'
import type { ViewOrder } from '../engine/commands/view.ts'
import { LOCK_LIMITS, type LockLimits } from '../engine/locks/short-locks.ts'
import type { EngineOptions } from '../engine/options.ts'
import type { PartitionRequest } from '../plan/language/policy.ts'
import type { MarkRequest } from '../plan/purge/mark.ts'
import type { RotateRequest } from '../plan/rotate/request.ts'
import type { HoldUntil } from '../requests/hold.ts'
import type { Hooks } from '../requests/hooks.ts'
import type { PurgeOrder } from '../requests/purge.ts'
import type { WrittenName } from '../sql/parse-name.ts'

/** What a config says of one table. */
export interface Policy {
  /** As it is written there. */
  readonly name: string
  readonly table: WrittenName
  /** How the table is partitioned; null where the policy does not say. */
  readonly set: WrittenSet | null
  /** Until when no row is removed; null where the policy does not say. */
  readonly hold: HoldUntil | null
  /** In the order in which they are done: new partitions before anything is removed. */
  readonly tasks: readonly Task[]
}

export interface WrittenSet extends Pick<PartitionRequest, 'by' | 'every' | 'premake' | 'expireBy'> {
  /** Null where it is not written: that of the table as it is, else UTC. */
  readonly timezone: string | null
}

/** A command with its request. */
export type Task = {
  readonly engine: Pick<EngineOptions, 'accept' | 'pacing' | 'lockLimits' | 'waitMs' | 'keepJournal'>
} & (
  | { readonly kind: 'rotate'; readonly request: RotateRequest }
  | { readonly kind: 'mark'; readonly request: MarkRequest }
  | { readonly kind: 'view'; readonly request: ViewOrder }
  | { readonly kind: 'stale'; readonly request: StalePurgeRequest; readonly flag: Flag | null }
  | { readonly kind: 'purge'; readonly request: PurgeOrder }
)

export type TaskOf<Kind extends Task['kind']> = Extract<Task, { readonly kind: Kind }>

/** A config that has been read and found right. */
export interface Policies {
  /** The file, for people. */
  readonly file: string
  /** Null where it does not say. */
  readonly journalSchema: string | null
  readonly policies: readonly Policy[]
  /** Of `ebb run`; a program awaits the result itself. */
  readonly hooks: Hooks
  /** Where a policy stands: `ebb.config.yaml:4:3`. */
  place(name: string): string
}

export function taskOf<Kind extends Task['kind']>({ tasks }: Policy, kind: Kind): TaskOf<Kind> | undefined {
  return tasks.find((task): task is TaskOf<Kind> => task.kind === kind)
}

/** The same, where what a whole run is given of locks comes before what its policies say. */
export function withLockLimits(config: Policies, locks: Partial<LockLimits>): Policies {
  const limited = (task: Task): Task => ({
    ...task,
    engine: { ...task.engine, lockLimits: { ...(task.engine.lockLimits ?? LOCK_LIMITS), ...locks } },
  })
  return { ...config, policies: config.policies.map((one) => ({ ...one, tasks: one.tasks.map(limited) })) }
}
