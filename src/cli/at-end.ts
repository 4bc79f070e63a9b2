import type { Event } from '../events.ts'
import { reasonOf } from '../db/sqlstate.ts'
import type { Sample } from '../report/metrics.ts'
import type { Trouble } from '../report/troubles.ts'
import type { Hooks } from '../requests/hooks.ts'
import type { Place } from '../requests/metrics-port.ts'
import { failureOf } from '../text/url.ts'
import { kindOfExitCode, type End } from './exit-codes.ts'
import type { Log } from './log.ts'
import type { LiveRun } from './metrics-server.ts'
import type { Notes, OfRun } from './notes.ts'
import { RunRecord } from './record.ts'

/** Who learns how a run has ended. Nothing that goes wrong here changes how it ended: it is a warning. */
export class AtEnd implements Notes {
  private readonly record = new RunRecord()
  private live: LiveRun | null = null
  private readonly run: OfRun
  private readonly log: Log
  private readonly metricsFile: string | null
  private hooks: Hooks

  constructor(run: OfRun, log: Log, metricsFile: string | null, hooks: Hooks) {
    this.run = run
    this.log = log
    this.metricsFile = metricsFile
    this.hooks = hooks
  }

  observe(event: Event): void {
    this.record.observe(event)
    this.live?.metrics.observe(event)
  }

  note(samples: readonly Sample[], troubles: readonly Trouble[] = []): void {
    this.record.note(samples, troubles)
  }

  addHooks(hooks: Hooks): void {
    const { onFailure, onObjection, onFinish } = this.hooks
    this.hooks = {
      onFailure: onFailure ?? hooks.onFailure,
      onObjection: onObjection ?? hooks.onObjection,
      onFinish: onFinish ?? hooks.onFinish,
    }
  }

  /** A port that is taken is a warning: the work matters more than who looks at it. */
  async serve(place: Place): Promise<void> {
    const { serveLive } = await import('./metrics-server.ts')
    this.live = await serveLive(place, this.run).catch((error: unknown) => {
      this.log.warn(
        `no metrics are served on ${place.host}:${place.port}: ${reasonOf(error)}; the command goes on without`,
      )
      return null
    })
  }

  async tell(end: End): Promise<void> {
    this.live?.close()
    if (this.metricsFile !== null) await this.writeMetrics(this.metricsFile, end)
    if (Object.values(this.hooks).some((hook) => hook !== null)) await this.tellHooks(end)
  }

  // Loaded where they are wanted only.
  private async writeMetrics(file: string, end: End): Promise<void> {
    const { writeMetrics } = await import('./metrics.ts')
    const why = await writeMetrics(file, this.run, this.record.samples(), end).catch(reasonOf)
    if (why !== null) this.log.warn(`the metrics were not written to ${file}: ${why}; what it had before stays there`)
  }

  private async tellHooks(end: End): Promise<void> {
    const { tellHooks } = await import('./hooks/hooks.ts')
    const { record } = this
    const wrong = await tellHooks(this.hooks, {
      ...this.run,
      ...end,
      outcome: kindOfExitCode(end.exitCode),
      ...{ tables: record.tables(), samples: record.samples(), troubles: record.troubles },
    }).catch((error: unknown) => [`the hooks were not told: ${failureOf(error)}`])
    for (const line of wrong) this.log.warn(line)
  }
}
