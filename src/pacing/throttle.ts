import { setTimeout as sleep } from 'node:timers/promises'
import type { Emit } from '../events.ts'
import { showElapsed } from '../text/elapsed.ts'
import type { TableName } from '../sql/names.ts'
import type { Target } from '../db/session.ts'
import { afterBatch, FIRST_ROWS, startingPace, type Batch, type BatchPace } from './batch-size.ts'
import { assertGoing, pauseFileThere } from './control-files.ts'
import { afterCommit, UNKNOWN_DISK } from './disk.ts'
import { jittered } from './jitter.ts'
import { judge, lagToSpare, walToSpare, type Verdict } from './judge.ts'
import type { PaceSettings } from './limits.ts'
import { PaceFile } from './pace-file.ts'
import { pausesAfter, type Pause } from './pauses.ts'
import type { Signal } from './reading.ts'
import { Sampler } from './sampler.ts'
import { Tally, type PaceSummary, type PauseReason } from './summary.ts'

export interface PaceOptions {
  readonly target: Target
  /** The name of the run's sessions: `purge a1b2c3`. */
  readonly holder: string
  readonly journalSchema: string
  /** Whose history is recorded; null where the work is of no run. */
  readonly runId: string | null
  /** The tables that the run changes. */
  readonly tables: readonly TableName[]
  /** Its statements work on the workers of a Citus cluster. */
  readonly onWorkers?: boolean
  readonly settings: PaceSettings
  /** A file that changes the settings during the run. */
  readonly paceFile: string | null
  readonly leastRows?: number
  readonly mostRows?: number
  readonly observer: Emit
  readonly signal: AbortSignal
}

const MOST_ROWS = 100_000
/** How often files and readings are polled. */
const LOOK_EVERY_MS = 100
/** A reading older than this means that the server does not respond. */
const STALE_MS = 6_000
const TELL_EVERY_MS = 10_000
const TELL_PACE_EVERY_MS = 1_000

/**
 * When the next batch may start, and how large it may be. Full speed while the database is healthy; every pause has a
 * reason, which is reported to the observer.
 *
 * Workers of one run may share it.
 */
export class Pace {
  private readonly options: PaceOptions
  private readonly tally: Tally
  private readonly file: PaceFile | null
  private settings: PaceSettings
  private sampler!: Sampler
  private batches: BatchPace
  /** The WAL position when the latest batch was started. */
  private walBefore: number | null = null
  /** WAL of the latest batch, in bytes. */
  private walPerRow = 0
  /** WAL that the next batch may write, in bytes. */
  private room = Infinity
  private disk = UNKNOWN_DISK
  /** Up to when pauses have been counted: time in which several workers pause is counted once. */
  private pausedUntil = 0
  private readonly told = new Map<string, number>()
  private paceTold = performance.now()
  private readonly noted = new Set<string>()

  private constructor(options: PaceOptions) {
    this.options = options
    this.settings = options.settings
    this.tally = new Tally()
    const note = (text: string) => options.observer({ type: 'note', text })
    this.file = options.paceFile === null ? null : new PaceFile(options.paceFile, options.settings, note)
    this.batches = startingPace(this.bounds())
  }

  /** Opens a session for readings, and takes the first. */
  static async open(options: PaceOptions): Promise<Pace> {
    const pace = new Pace(options)
    await pace.retune()
    pace.sampler = await Sampler.open({
      target: options.target,
      holder: options.holder,
      application: `ebb ${options.holder}`,
      journalSchema: options.journalSchema,
      runId: options.runId,
      tables: options.tables,
      onWorkers: options.onWorkers === true,
      settings: () => pace.settings,
      heard: (reading) => pace.tally.reading(reading),
    })
    await pace.noteMissing()
    return pace
  }

  /**
   * Returns when the next batch may start, with its size in rows, and whether nobody else is at work. `last` is the previous batch, null for the first;
   * `asked` is the size requested for it, if not the latest.
   *
   * @throws {EbbError} with exit code 4 when the run should stop; it can be resumed
   */
  async turn(last: Batch | null, asked: number = this.batches.rows): Promise<{ rows: number; alone: boolean }> {
    await this.retune()
    await assertGoing(this.settings, this.options.signal)
    if (last !== null) await this.learn(last, asked)
    const verdict = await this.untilGo()
    const { pauseMs } = this.settings
    const { slowness } = this.batches
    const { others } = this.sampler
    const pauses =
      last === null
        ? []
        : pausesAfter(last, { pauseMs, slowness, others, ...verdict, disk: this.isShared ? this.disk : null })
    for (const pause of pauses) await this.pause(pause)
    await this.fitBatch()
    this.tally.turn()
    this.sampler.history.turn()
    this.tellPace(null)
    return { rows: this.batches.rows, alone: !this.isShared }
  }

  /** At most the rows that replicas and a limit on WAL allow, judging by the previous batch. */
  fit(rows: number): number {
    return Math.max(this.bounds().leastRows, Math.min(rows, Math.floor(this.room / Math.max(this.walPerRow, 1))))
  }

  /** Whether others are at work, or that cannot be seen: then commits should wait for the disk, to tell how slow it is. */
  get isShared(): boolean {
    return this.sampler.isShared
  }

  /** At most the rows that are written so quickly that others hardly notice, judging by the previous commits; at least `least`. */
  fitDisk(rows: number, least: number): number {
    return this.isShared ? Math.min(rows, Math.max(least, this.disk.most)) : rows
  }

  /** The summary so far. */
  summary(): PaceSummary {
    return this.tally.summary()
  }

  async close(): Promise<void> {
    await this.sampler.close()
  }

  private async learn(last: Batch, asked: number): Promise<void> {
    await this.weigh(last)
    const before = this.batches.slowness
    this.batches = afterBatch(this.batches, asked, this.withoutCommit(last), this.bounds())
    const { slowness } = this.batches
    if (slowness > before)
      this.note(
        `a batch took ${showElapsed(last.milliseconds)}, several times as long as those before: the pace is halved`,
      )
    if (slowness < before && slowness === 1) this.note('batches are as quick as before: full pace again')
  }

  /** While others are at work, the commit is judged by itself; the size of a batch follows the rest of its time. */
  private withoutCommit({ rows, milliseconds, commitMs }: Batch): Batch {
    if (commitMs === undefined || !this.isShared) return { rows, milliseconds }
    if (rows > 0) this.disk = afterCommit(this.disk, { rows, at: performance.now(), milliseconds, commitMs })
    return { rows, milliseconds: Math.max(0, milliseconds - commitMs) }
  }

  /** The WAL written since a batch was started, including that of others, which a replica has to replay, too. */
  private async weigh({ rows }: Batch): Promise<void> {
    this.sampler.ended()
    const { walPosition } = (await this.sampler.latest()).reading
    if (walPosition === null || this.walBefore === null || rows === 0) return
    this.walPerRow = (walPosition - this.walBefore) / rows
  }

  private async fitBatch(): Promise<void> {
    const { reading } = await this.sampler.latest()
    this.walBefore = reading.walPosition
    this.room = Math.min(lagToSpare(reading, this.settings), walToSpare(this.settings))
    this.batches = { ...this.batches, rows: this.fitDisk(this.fit(this.batches.rows), FIRST_ROWS) }
  }

  /** Waits until the verdict is go. */
  private async untilGo(): Promise<Extract<Verdict, { kind: 'go' }>> {
    const began = performance.now()
    let waited = ''
    try {
      for (;;) {
        const verdict = await this.verdict()
        if (verdict.kind === 'go') {
          if (waited !== '' && performance.now() - began > TELL_EVERY_MS)
            this.note(`resuming after ${showElapsed(performance.now() - began)} (${waited})`)
          return verdict
        }
        const [first] = verdict.reasons
        waited = first.signal
        const text = verdict.reasons.map((reason) => reason.text).join('; ')
        this.tell(`wait ${verdict.reasons.map(({ signal }) => signal).join()}`, text)
        this.sampler.waiting(true)
        await this.rest(first.signal, text, LOOK_EVERY_MS)
        await this.retune()
      }
    } finally {
      this.sampler.waiting(false)
    }
  }

  private async verdict(): Promise<Verdict | Waiting> {
    const pauseFile = await pauseFileThere(this.settings)
    if (pauseFile !== null) return waiting('pause file', `the pause file ${pauseFile} exists`)
    const { reading, ageMs } = await this.sampler.latest()
    if (ageMs > STALE_MS) return waiting('no reading', `no reading from the server for ${showElapsed(ageMs)}`)
    return judge(reading, this.settings, this.batches.rows * this.walPerRow)
  }

  private async pause({ reason, milliseconds, text }: Pause): Promise<void> {
    this.tell(reason, text)
    const until = performance.now() + jittered(milliseconds)
    for (let left = until - performance.now(); left > 0; left = until - performance.now())
      await this.rest(reason, text, Math.min(left, LOOK_EVERY_MS))
  }

  /** Sleeps briefly; a stop file is noticed afterwards, an abort at once. */
  private async rest(reason: PauseReason, text: string, milliseconds: number): Promise<void> {
    const { signal } = this.options
    this.tellPace(text)
    const began = performance.now()
    await sleep(milliseconds, undefined, { signal }).catch(() => {})
    const now = performance.now()
    const paused = now - Math.max(began, this.pausedUntil)
    this.pausedUntil = now
    this.tally.pause(reason, paused)
    this.sampler.history.pause(reason, paused)
    await assertGoing(this.settings, this.options.signal)
  }

  private async retune(): Promise<void> {
    if (this.file !== null) this.settings = await this.file.settings()
  }

  private bounds() {
    const { leastRows = 1, mostRows = MOST_ROWS } = this.options
    return { targetMs: this.settings.targetMs, leastRows, mostRows }
  }

  /** Reports a reason when it appears, and repeats it from time to time. */
  private tell(reason: string, text: string): void {
    const now = performance.now()
    if (now - (this.told.get(reason) ?? -Infinity) < TELL_EVERY_MS) return
    this.told.set(reason, now)
    this.options.observer({ type: 'waiting', reason: text })
  }

  /** Reports the pace so far, at most once a second. */
  private tellPace(reason: string | null): void {
    const now = performance.now()
    if (now - this.paceTold < TELL_PACE_EVERY_MS) return
    this.paceTold = now
    this.options.observer({ type: 'pacing', pace: this.summary(), reason })
  }

  private note(text: string): void {
    this.options.observer({ type: 'note', text })
  }

  /** Reports limits that cannot be checked. */
  private async noteMissing(): Promise<void> {
    const { missing } = (await this.sampler.latest()).reading
    for (const signal of LIMITED) {
      const why = missing[signal.signal]
      if (why === undefined || !signal.isLimited(this.settings) || this.noted.has(why)) continue
      this.noted.add(why)
      this.note(`${signal.signal}: ${why}`)
    }
  }
}

/** Signals that a role may be unable to see, and whether they are needed. */
const LIMITED: readonly { readonly signal: Signal; readonly isLimited: (settings: PaceSettings) => boolean }[] = [
  { signal: 'blocked sessions', isLimited: ({ maxBlocked }) => maxBlocked !== null },
  { signal: 'WAL rate', isLimited: ({ maxWalBytesPerSecond }) => maxWalBytesPerSecond !== null },
  { signal: 'replica lag', isLimited: ({ maxReplicaLagBytes }) => maxReplicaLagBytes !== null },
  { signal: 'slot WAL', isLimited: ({ maxSlotWalBytes }) => maxSlotWalBytes !== null },
  { signal: 'archive backlog', isLimited: ({ maxArchiveBacklogBytes }) => maxArchiveBacklogBytes !== null },
  { signal: 'active sessions', isLimited: ({ maxActive }) => maxActive !== null },
  { signal: 'vacuum', isLimited: ({ yieldToVacuum }) => yieldToVacuum !== 'none' },
]

/** Reasons that are not from a reading of the database. */
interface Waiting {
  readonly kind: 'wait'
  readonly reasons: readonly [{ readonly signal: PauseReason; readonly text: string }]
}

function waiting(signal: PauseReason, text: string): Waiting {
  return { kind: 'wait', reasons: [{ signal, text }] }
}
