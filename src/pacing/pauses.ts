import type { Batch } from './batch-size.ts'
import { pauseForDisk, type DiskPace } from './disk.ts'
import type { Reason } from './judge.ts'
import type { PauseReason } from './summary.ts'

/** A pause after a batch. */
export interface Pause {
  readonly reason: PauseReason
  readonly milliseconds: number
  readonly text: string
}

/** The reasons for idle time. */
export interface Claims {
  /** Fixed, added to the rest. */
  readonly pauseMs: number
  /** 1 at full speed; at 4, three quarters of the time are idle. */
  readonly slowness: number
  /** Other runs that share the pace. */
  readonly others: number
  /** The share of idle time because of a near limit. */
  readonly ease: number
  readonly because: Reason | null
  /** What commits have told of the disk; null while nobody else is at work. */
  readonly disk: DiskPace | null
}

/** A pause of minutes after one slow batch would be useless: the next one will be small. */
const MOST_PAUSE_MS = 10_000

/** Turns shares of idle time into pauses after a batch. */
export function pausesAfter({ rows, milliseconds, commitMs }: Batch, claims: Claims): Pause[] {
  const { pauseMs, slowness, others, ease, because, disk } = claims
  const share = (times: number) => Math.min(milliseconds * times, MOST_PAUSE_MS)
  const pauses: Pause[] = [
    { reason: 'fixed pause', milliseconds: pauseMs, text: 'the pause between batches' },
    {
      reason: 'slow batches',
      milliseconds: share(slowness - 1),
      text: `batches have become slow: at 1/${slowness} of the pace`,
    },
    {
      reason: 'other runs',
      milliseconds: share(others),
      text: `the pace is shared with ${others === 1 ? 'another run' : `${others} other runs`}`,
    },
  ]
  if (disk !== null && commitMs !== undefined)
    pauses.push({
      reason: 'slow commits',
      milliseconds: pauseForDisk(disk, rows, milliseconds),
      text: `slower, because a commit takes ${disk.commitMs.toFixed(0)} ms (${disk.quickestMs.toFixed(1)} ms at best)`,
    })
  if (because !== null)
    pauses.push({
      reason: because.signal,
      milliseconds: share(ease / (1 - ease)),
      text: `slower, because ${because.text}`,
    })
  return pauses.filter((pause) => pause.milliseconds > 0)
}
