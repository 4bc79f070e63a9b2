import type { Batch } from './batch-size.ts'
import type { Reason } from './judge.ts'
import type { PauseReason } from './summary.ts'

/** A pause that follows a batch. */
export interface Pause {
  readonly reason: PauseReason
  readonly milliseconds: number
  readonly text: string
}

/** What others have a claim to. */
export interface Claims {
  /** Fixed, besides everything else. */
  readonly pauseMs: number
  /** 1 at full speed; at 4, three quarters of the time are left to others. */
  readonly slowness: number
  /** Runs that share the pace. */
  readonly others: number
  /** The share of the time that a limit which is near asks for. */
  readonly ease: number
  readonly because: Reason | null
}

/** Nobody is helped by a pause of minutes after one slow batch: the next will be a small one. */
const MOST_PAUSE_MS = 10_000

/** Shares of the time, turned into pauses: a batch is followed by as much rest as belongs to it. */
export function pausesAfter({ milliseconds }: Batch, claims: Claims): Pause[] {
  const { pauseMs, slowness, others, ease, because } = claims
  const share = (times: number) => Math.min(milliseconds * times, MOST_PAUSE_MS)
  const pauses: Pause[] = [
    { reason: 'fixed pause', milliseconds: pauseMs, text: 'the pause between batches' },
    {
      reason: 'slow batches',
      milliseconds: share(slowness - 1),
      text: `batches have become slow, so at 1/${slowness} of the pace`,
    },
    {
      reason: 'other runs',
      milliseconds: share(others),
      text: `the pace is shared with ${others === 1 ? 'another run' : `${others} other runs`}`,
    },
  ]
  if (because !== null)
    pauses.push({
      reason: because.signal,
      milliseconds: share(ease / (1 - ease)),
      text: `slower, because ${because.text}`,
    })
  return pauses.filter((pause) => pause.milliseconds > 0)
}
