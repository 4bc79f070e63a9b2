import { isOpen } from '../pacing/window.ts'
import type { RotateRequest } from '../plan/rotate/request.ts'
import type { JudgedPolicy } from './judge-policy.ts'
import type { Policy, Task, TaskOf } from './policy.ts'
import { isHeld } from './weaker.ts'

// What of a policy is done now. Pure.

/** What is done, and why the rest is not. */
export interface Now {
  readonly tasks: readonly Task[]
  /** Why rows are not removed now; null where they are. */
  readonly notNow: string | null
  /** When its window closes, in milliseconds from now; null where it has none. */
  readonly closesInMs: number | null
}

/**
 * The tasks of a policy, an interrupted one first: others would wait for it. Partitions are created ahead whatever else
 * is the matter: rows without a partition are lost to the application at once.
 *
 * @param later why nothing else is done now, whatever the policy says; null where it is
 */
export function tasksNow(policy: Policy, judged: JudgedPolicy, later: string | null = null): Now {
  const { objections, now, unfinished } = judged
  const closesInMs = closingTime(policy, now)
  const held = holdText(judged)
  const notNow =
    objections.length > 0
      ? 'its policy has blocking issues'
      : (later ?? held ?? (closesInMs === 0 ? 'it is outside its windows' : null))
  const isBegun = ({ kind }: Task) => unfinished !== null && unfinished === (kind === 'stale' ? 'purge' : kind)
  const ordered = [...policy.tasks.filter(isBegun), ...policy.tasks.filter((task) => !isBegun(task))]
  // A view removes nothing.
  const kinds = held !== null && notNow === held && closesInMs !== 0 ? ['rotate', 'view'] : ['rotate']
  const tasks = notNow === null ? ordered : ordered.filter(({ kind }) => kinds.includes(kind))
  const isNoSet = objections.some(({ code }) => code.startsWith('not-partitioned:'))
  return { tasks: isNoSet ? tasks.filter(({ kind }) => kind !== 'rotate') : tasks, notNow, closesInMs }
}

/** Why no row is removed yet; null where none is on hold. What is in force counts, also where the file says it no more. */
function holdText({ terms: { hold }, now }: JudgedPolicy): string | null {
  if (hold === undefined || !isHeld(hold, now)) return null
  return `it is on hold until ${hold.until}${hold.reason === null ? '' : ` (${hold.reason})`}`
}

/** The rotation of a policy: by what is in force, where the policy itself is not. */
export function rotationOf(
  { request }: TaskOf<'rotate'>,
  { table, set, objections }: JudgedPolicy,
  notNow: string | null,
): RotateRequest {
  const later = notNow === null ? {} : { notNow }
  const tables = [table]
  if (objections.length > 0) {
    const { keepMoved: _, ...others } = request
    return { ...others, tables, keep: null, grace: null, ...later }
  }
  return set === null
    ? { ...request, tables, ...later }
    : { ...request, tables, keep: null, grace: null, policy: set, ...later }
}

const MINUTE = 60_000
const MINUTES_A_DAY = 24 * 60

/** Milliseconds until no window is open any more: 0 where none is open, null where there are none. */
function closingTime({ tasks }: Policy, now: bigint): number | null {
  const windows = tasks[0]?.engine.pacing?.settings.windows ?? []
  if (windows.length === 0) return null
  const openAfter = (minutes: number) => windows.some((one) => isOpen(one, now + BigInt(minutes * MINUTE) * 1000n))
  // They close on the minute.
  const sinceMinute = Number((now / 1000n) % BigInt(MINUTE))
  for (let minutes = 0; minutes < MINUTES_A_DAY; minutes++)
    if (!openAfter(minutes)) return minutes === 0 ? 0 : minutes * MINUTE - sinceMinute
  return null
}
