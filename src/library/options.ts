import { LOCK_LIMITS } from '../engine/locks/short-locks.ts'
import type { EngineOptions } from '../engine/options.ts'
import { DEFAULT_SCHEMA } from '../journal/journal.ts'
import { DEFAULT_PACE, type PaceSettings, type Pacing } from '../pacing/limits.ts'
import { parseWindow } from '../pacing/window.ts'
import type { Observer } from '../events.ts'

/** What every call takes. */
export interface Options {
  /** The schema of Ebb's own records; `ebb` by default. */
  readonly journalSchema?: string
  /** Codes of objections that are accepted. */
  readonly accept?: readonly string[]
  /** Stops between two steps, or cancels the one that is running; what was done is kept. */
  readonly signal?: AbortSignal
  /** Is told what happens. */
  readonly observer?: Observer
}

/** What a call takes that asks for locks. */
export interface LockOptions extends Options {
  /** How long others may queue behind us for a lock; 50 by default. */
  readonly lockTimeoutMs?: number
  /** How long to go on trying for a lock; ten minutes by default. */
  readonly deadlineMs?: number
}

/** How a run gives way; what is left out is as on the command line. */
export interface PaceOptions extends Partial<Omit<PaceSettings, 'windows'>> {
  /** Times of the day, such as `22:00-04:00 Europe/Berlin`. */
  readonly windows?: readonly string[]
  /** A file that retunes the run while it is under way. */
  readonly paceFile?: string
}

/** What a call takes that works in pieces: batches, chunks, partitions. */
export interface PacedOptions extends LockOptions {
  readonly pace?: PaceOptions
}

/** Options with nothing left out; `pace` is what holds where the call says nothing of it. */
export function complete(options: PacedOptions & { readonly diskFree?: number }, pace = DEFAULT_PACE): EngineOptions {
  const { lockTimeoutMs = LOCK_LIMITS.lockTimeoutMs, deadlineMs = LOCK_LIMITS.deadlineMs } = options
  return {
    journalSchema: options.journalSchema ?? DEFAULT_SCHEMA,
    accept: options.accept ?? [],
    observer: options.observer ?? (() => {}),
    signal: options.signal ?? new AbortController().signal,
    lockLimits: { ...LOCK_LIMITS, lockTimeoutMs, deadlineMs },
    pacing: pacingOf(options.pace ?? {}, pace),
    ...(options.diskFree === undefined ? {} : { diskFree: options.diskFree }),
  }
}

function pacingOf({ windows, paceFile, ...given }: PaceOptions, usual: PaceSettings): Pacing {
  const settings = { ...usual, ...given }
  return {
    settings: windows === undefined ? settings : { ...settings, windows: windows.map(parseWindow) },
    paceFile: paceFile ?? null,
  }
}
