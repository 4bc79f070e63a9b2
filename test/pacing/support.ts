import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { onTestFinished } from 'vitest'
import { openSession, type Session } from '../../src/db/session.ts'
import { migrateJournal } from '../../src/journal/migrate.ts'
import { DEFAULT_PACE, type PaceSettings } from '../../src/pacing/limits.ts'
import type { Reading } from '../../src/pacing/reading.ts'
import { Pace, type PaceOptions } from '../../src/pacing/throttle.ts'
import type { Emitted as Event } from '../../src/events.ts'
import type { Database } from '../support/database.ts'
import { until } from '../support/until.ts'

/** Nothing is wrong, and nothing is known to be there. */
export const WELL: Reading = {
  at: 0n,
  blocked: [],
  replica: null,
  slot: null,
  walPosition: 0,
  wal: null,
  archiveBacklogBytes: null,
  active: 0,
  busy: 0,
  vacuum: 'none',
  healthSql: null,
  healthUrl: null,
  missing: {},
}

/** A run that paces itself, what it has told, and a session of the same run to do harm with. */
export interface PacedRun {
  readonly pace: Pace
  readonly events: readonly Event[]
  readonly worker: Session
  /** Reasons to wait, in the order in which they were told. */
  readonly reasons: () => string[]
  readonly notes: () => string[]
}

export async function pacedRun(
  database: Database,
  settings: Partial<PaceSettings> = {},
  more: Partial<PaceOptions> = {},
): Promise<PacedRun> {
  const target = more.target ?? database.url
  const holder = `test ${randomBytes(3).toString('hex')}`
  const worker = await openSession(target, holder)
  onTestFinished(() => worker.end())
  await migrateJournal(worker, 'ebb')
  const events: Event[] = []
  const pace = await Pace.open({
    target,
    holder,
    journalSchema: 'ebb',
    runId: null,
    tables: [],
    settings: { ...DEFAULT_PACE, ...settings },
    paceFile: null,
    observer: (event) => void events.push(event),
    signal: new AbortController().signal,
    ...more,
  })
  onTestFinished(() => pace.close())
  const texts = (type: 'waiting' | 'note') => () =>
    events.flatMap((event) =>
      event.type === 'waiting'
        ? type === 'waiting'
          ? [event.reason]
          : []
        : event.type === 'note' && type === 'note'
          ? [event.text]
          : [],
    )
  return { pace, events, worker, reasons: texts('waiting'), notes: texts('note') }
}

/** A turn that is waited for: whether it has come yet, and its end. */
export function turning(run: PacedRun, milliseconds = 1) {
  const turn = { come: false }
  const end = run.pace.turn({ rows: 1, milliseconds }).then((given) => {
    turn.come = true
    return given
  })
  end.catch(() => {})
  return { turn, end }
}

/** Comes back when the run has said that it waits for something like this. */
export async function waitsFor(run: PacedRun, pattern: RegExp): Promise<void> {
  await until(() => run.reasons().some((reason) => pattern.test(reason)), {
    what: `a pause because of ${String(pattern)}`,
  })
}

export async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'ebb-pace-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}

export async function administrator(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'administrator' })
  await client.connect()
  onTestFinished(() => client.end())
  return client
}
