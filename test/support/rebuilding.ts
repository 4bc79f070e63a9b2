import type { EngineOptions } from '../../src/engine/options.ts'
import { rollback } from '../../src/engine/runs/runs.ts'
import { type SplitOrder } from '../../src/engine/commands/split.ts'
import type { CopyRequest } from '../../src/plan/partition/partition-copy.ts'
import type { RebuildRequest } from '../../src/plan/copy/rebuild.ts'
import type { Event } from '../../src/events.ts'
import type { TableName } from '../../src/sql/names.ts'
import type { Database } from './database.ts'
import { monthly, quietly, written } from './tool.ts'
import { until } from './until.ts'
import { partitionByCopy, rebuild, split } from './commands.ts'

/** A request for all rows, by `insert … select`, with one job. */
export function rebuildRequest(overrides: Partial<RebuildRequest> = {}): RebuildRequest {
  return { keep: null, transport: 'server', jobs: 1, noArchive: true, retireAfter: null, ...overrides }
}

/** Every chunk is one block, every batch one entry, and no entry may be left for the swap if it can be helped. */
export const TINY = { chunkBlocks: 1, batchEntries: 1, shortLog: 0 }

/** A run under way, in tiny turns, so that a test can act in its midst. */
export class UnderWay<Result> {
  readonly events: Event[] = []
  private readonly work: Promise<Result>

  protected constructor(work: (options: EngineOptions) => Promise<Result>, overrides: Partial<EngineOptions>) {
    const observer = (event: Event) => void this.events.push(event)
    this.work = work(quietly({ copySizes: TINY, ...overrides, observer }))
    this.work.catch(() => {}) // told by `end`
  }

  /** Comes back when the step has begun, or fails when the run has. */
  async began(key: string | RegExp): Promise<void> {
    const is = (step: string) => (typeof key === 'string' ? step === key : key.test(step))
    await this.seen(`step ${key} to begin`, (event) => event.type === 'step started' && is(event.step.key))
  }

  /** Comes back when it says that it waits for something like this. */
  async waits(reason: RegExp): Promise<void> {
    await this.seen(`it to wait ${reason}`, (event) => event.type === 'waiting' && reason.test(event.reason))
  }

  /** Comes back when it has told of its progress so many times. */
  async seenProgress(times: number): Promise<void> {
    const enough = () => this.events.filter(({ type }) => type === 'progress').length >= times
    await this.seen('its progress', enough)
  }

  /** Its end; throws what it has thrown. */
  end(): Promise<Result> {
    return this.work
  }

  private async seen(what: string, is: (event: Event) => boolean): Promise<void> {
    const tooLate = this.work.then(() => {
      throw new Error(`the run has ended; waited in vain for ${what}`)
    })
    await Promise.race([tooLate, until(() => this.events.some(is), { what })])
  }
}

export class Rebuilding extends UnderWay<{ readonly runId: string }> {
  constructor(
    database: Database,
    table: TableName,
    request: Partial<RebuildRequest> = {},
    overrides: Partial<EngineOptions> = {},
  ) {
    super((options) => rebuild(database.url, written(table), rebuildRequest(request), options), overrides)
  }

  /** What the new table is called until the swap. */
  async shadow(database: Database): Promise<string> {
    const { rows } = await database.admin<{ name: string }>(
      `select plan #>> '{rebuild,shadow,name}' as name from ebb.run order by id desc limit 1`,
    )
    return rows[0]?.name ?? ''
  }
}

export class Splitting extends UnderWay<{ readonly runId: string }> {
  constructor(database: Database, table: TableName, order: SplitOrder, overrides: Partial<EngineOptions> = {}) {
    super((options) => split(database.url, written(table), order, options), overrides)
  }
}

export class RollingBack extends UnderWay<unknown> {
  constructor(database: Database, runId: string, overrides: Partial<EngineOptions> = {}) {
    super((options) => rollback(database.url, { runId }, options), overrides)
  }
}

/** Into a partition a month, by a column `at`. */
export class PartitioningByCopy extends UnderWay<{ readonly runId: string }> {
  constructor(database: Database, table: TableName, overrides: Partial<EngineOptions> = {}) {
    const request: CopyRequest = {
      ...monthly({ by: 'at', keep: null }),
      transport: 'server',
      jobs: 1,
      noArchive: true,
      retireAfter: null,
    }
    super((options) => partitionByCopy(database.url, written(table), request, options), overrides)
  }
}
