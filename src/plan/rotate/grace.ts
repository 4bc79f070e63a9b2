import { plus } from '../../grid/grid.ts'
import type { Interval } from '../../grid/interval.ts'
import type { Position } from '../../grid/key.ts'
import type { SetPolicy } from '../language/policy.ts'
import type { BegunRetirement } from './begun.ts'
import type { RotateRequest } from './request.ts'

// A detached partition may stay for a while before it is dropped: it can be attached again at once, where a dropped one
// would have to be restored. It stays at least as long as it was said when it was detached, unless a shorter time has been
// accepted since.

type Detached = Pick<BegunRetirement, 'detachedAt' | 'grace'>
type Asked = Pick<RotateRequest, 'grace' | 'accept' | 'retire'>

/** How long partitions that are detached now stay before they are dropped; null: they do not. */
export function graceOf({ grace, retire }: Asked, policy: SetPolicy | null): Interval | null {
  return retire === 'drop' ? (grace ?? policy?.grace ?? null) : null
}

/** From when on a detached partition may be dropped, in microseconds since the epoch; null: at once. */
export function goesFrom(detached: Detached, asked: Asked, policy: SetPolicy | null): Position | null {
  const now = graceOf(asked, policy)
  const isAccepted = asked.grace !== null && asked.accept.includes('shorter-grace')
  const graces = isAccepted ? [asked.grace] : [detached.grace, now]
  const days = graces.flatMap((grace) => (grace === null ? [] : [endOf(detached.detachedAt, grace, policy)]))
  return days.reduce<Position | null>((last, day) => (last === null || day > last ? day : last), null)
}

/** The same of a partition that is detached now. */
export function endOf(detachedAt: Date, grace: Interval, policy: SetPolicy | null): Position {
  return plus(BigInt(detachedAt.getTime()) * 1000n, grace, 'timestamptz', policy?.timezone ?? 'UTC')
}

/** `2026-12-06 10:21 UTC`. */
export function showMinute(position: Position): string {
  return `${new Date(Number(position / 1000n)).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
