import { setTimeout as sleep } from 'node:timers/promises'
import type { Emit } from '../events.ts'
import { showElapsed } from '../text/elapsed.ts'
import type { TableName } from '../sql/names.ts'
import type { Target } from '../db/session.ts'
import { afterBatch, startingPace, type Batch, type BatchPace } from './batch-size.ts'
import { assertGoing, pauseFileThere } from './control-files.ts'
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
  /** As the run's sessions were opened: `purge a1b2c3`. */
  readonly holder: string
  readonly journalSchema: string
  /** The tables that the run changes. */
  readonly tables: readonly TableName[]
  readonly settings: PaceSettings
  /** A file that retunes the run while it is under way. */
  readonly paceFile: string | null
  readonly leastRows?: number
  readonly mostRows?: number
  readonly observer: Emit
  readonly signal: AbortSignal
}

const MOST_ROWS = 100_000
/** How soon files and a better reading are noticed. */
const LOOK_EVERY_MS = 100
/** A reading that old says that the server is in no state to answer. */
const STALE_MS = 6_000
const TELL_EVERY_MS = 10_000

/**
 * When the next batch may start, and how large it may be. As fast as it goes
 * while the database is well; every pause has a reason, which the observer hears.
 *
 * Several workers of one run may take turns of the same pace.
 */
export class Pace {
  private readonly options: PaceOptions
  private readonly tally: Tally
  private readonly file: PaceFile | null
  private settings: PaceSettings
  private sampler!: Sampler
  private batches: BatchPace
  /** The end of the WAL when the latest batch was let go. */
  private walBefore: number | null = null
  /** Of the latest batch, in bytes. */
  private walPerRow = 0
  /** What the next batch may write, in bytes. */
  private room = Infinity
  private readonly told = new Map<string, number>()
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
      tables: options.tables,
      settings: () => pace.settings,
      heard: (reading) => pace.tally.reading(reading),
    })
    await pace.noteMissing()
    return pace
  }

  /**
   * Comes back when the next batch may start, with the rows it should take.
   * `last` is the batch before, null for the first; `asked` is the size it had
   * been given, where that was not the latest.
   *
   * @throws {EbbError} with exit code 4 when the run is to stop; it can be resumed
   */
  async turn(last: Batch | null, asked: number = this.batches.rows): Promise<{ rows: number }> {
    await this.retune()
    await assertGoing(this.settings, this.options.signal)
    if (last !== null) await this.learn(last, asked)
    const verdict = await this.untilGo()
    const { pauseMs } = this.settings
    const { slowness } = this.batches
    const { others } = this.sampler
    const pauses = last === null ? [] : pausesAfter(last, { pauseMs, slowness, others, ...verdict })
    for (const pause of pauses) await this.pause(pause)
    await this.fitBatch()
    this.tally.turn()
    return { rows: this.batches.rows }
  }

  /** No more rows than what replicas and a limit on WAL have room for, as far as the batch before tells. */
  fit(rows: number): number {
    return Math.max(this.bounds().leastRows, Math.min(rows, Math.floor(this.room / Math.max(this.walPerRow, 1))))
  }

  /** How it has been so far. */
  summary(): PaceSummary {
    return this.tally.summary()
  }

  async close(): Promise<void> {
    await this.sampler.close()
  }

  private async learn(last: Batch, asked: number): Promise<void> {
    await this.weigh(last)
    const before = this.batches.slowness
    this.batches = afterBatch(this.batches, asked, last, this.bounds())
    const { slowness } = this.batches
    if (slowness > before)
      this.note(
        `a batch took ${showElapsed(last.milliseconds)}, several times as long as those before: the pace is halved`,
      )
    if (slowness < before && slowness === 1) this.note('batches are as quick as before: full pace again')
  }

  /** How much WAL the rows of a batch have needed; what others wrote meanwhile a replica has to replay, too. */
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
    this.batches = { ...this.batches, rows: this.fit(this.batches.rows) }
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
            this.note(`going on after ${showElapsed(performance.now() - began)} (${waited})`)
          return verdict
        }
        const [first] = verdict.reasons
        waited = first.signal
        this.tell(
          `wait ${verdict.reasons.map(({ signal }) => signal).join()}`,
          verdict.reasons.map(({ text }) => text).join('; '),
        )
        this.sampler.waiting(true)
        await this.rest(first.signal, LOOK_EVERY_MS)
        await this.retune()
      }
    } finally {
      this.sampler.waiting(false)
    }
  }

  private async verdict(): Promise<Verdict | Waiting> {
    const pauseFile = await pauseFileThere(this.settings)
    if (pauseFile !== null) return waiting('pause file', `the pause file ${pauseFile} is there`)
    const { reading, ageMs } = await this.sampler.latest()
    if (ageMs > STALE_MS)
      return waiting('no reading', `the server has not answered for ${showElapsed(ageMs)} how it is`)
    return judge(reading, this.settings, this.batches.rows * this.walPerRow)
  }

  private async pause({ reason, milliseconds, text }: Pause): Promise<void> {
    this.tell(reason, text)
    const until = performance.now() + jittered(milliseconds)
    for (let left = until - performance.now(); left > 0; left = until - performance.now())
      await this.rest(reason, Math.min(left, LOOK_EVERY_MS))
  }

  /** Stands still for a moment; a stop is noticed at its end, an abort at once. */
  private async rest(reason: PauseReason, milliseconds: number): Promise<void> {
    const { signal } = this.options
    const began = performance.now()
    await sleep(milliseconds, undefined, { signal }).catch(() => {})
    this.tally.pause(reason, performance.now() - began)
    await assertGoing(this.settings, this.options.signal)
  }

  private async retune(): Promise<void> {
    if (this.file !== null) this.settings = await this.file.settings()
  }

  private bounds() {
    const { leastRows = 1, mostRows = MOST_ROWS } = this.options
    return { targetMs: this.settings.targetMs, leastRows, mostRows }
  }

  /** A reason is told when it comes up, and now and then while it lasts. */
  private tell(reason: string, text: string): void {
    const now = performance.now()
    if (now - (this.told.get(reason) ?? -Infinity) < TELL_EVERY_MS) return
    this.told.set(reason, now)
    this.options.observer({ type: 'waiting', reason: text })
  }

  private note(text: string): void {
    this.options.observer({ type: 'note', text })
  }

  /** A limit that cannot be watched is said to be none. */
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

/** Signals that a role may be unable to see, and whether anything hangs on them. */
const LIMITED: readonly { readonly signal: Signal; readonly isLimited: (settings: PaceSettings) => boolean }[] = [
  { signal: 'blocked sessions', isLimited: ({ maxBlocked }) => maxBlocked !== null },
  { signal: 'WAL rate', isLimited: ({ maxWalBytesPerSecond }) => maxWalBytesPerSecond !== null },
  { signal: 'replica lag', isLimited: ({ maxReplicaLagBytes }) => maxReplicaLagBytes !== null },
  { signal: 'slot WAL', isLimited: ({ maxSlotWalBytes }) => maxSlotWalBytes !== null },
  { signal: 'archive backlog', isLimited: ({ maxArchiveBacklogBytes }) => maxArchiveBacklogBytes !== null },
  { signal: 'active sessions', isLimited: ({ maxActive }) => maxActive !== null },
  { signal: 'vacuum', isLimited: ({ yieldToVacuum }) => yieldToVacuum !== 'none' },
]

/** Reasons that no reading of the database gives. */
interface Waiting {
  readonly kind: 'wait'
  readonly reasons: readonly [{ readonly signal: PauseReason; readonly text: string }]
}

function waiting(signal: PauseReason, text: string): Waiting {
  return { kind: 'wait', reasons: [{ signal, text }] }
}
