import type { ErrorKind } from '../errors.ts'
import { showElapsed } from '../text/elapsed.ts'
import { showCount } from '../text/units.ts'
import type { ToldError } from './error-text.ts'
import type { Sample } from './metrics.ts'
import type { Trouble } from './troubles.ts'

/** How a command has ended. */
export interface Ended {
  readonly command: string
  /** Host, port and name. */
  readonly database: string
  readonly outcome: ErrorKind | 'bug' | 'done'
  readonly exitCode: number
  readonly milliseconds: number
  /** What ended it, if anything. */
  readonly error: Pick<ToldError, 'message' | 'state' | 'next'> | null
  readonly tables: readonly string[]
  readonly samples: readonly Sample[]
  readonly troubles: readonly Trouble[]
}

/** Of tables and troubles, as many are listed; the counts are of all. */
const MOST_LISTED = 100
/** Of troubles, as many are in the text. */
const MOST_TOLD = 10

/** The same for hooks: one object, with a text as chats show it. */
export function endedForHooks(ended: Ended): object {
  const { command, database, outcome, exitCode, milliseconds, error, tables, samples, troubles } = ended
  return {
    text: textOf(ended),
    ...{ command, database, outcome, exitCode, milliseconds: Math.round(milliseconds) },
    tables: tables.slice(0, MOST_LISTED),
    counts: { tables: tables.length, troubles: troubles.length, ...countsOf(samples) },
    error: error === null ? null : { message: error.message, state: error.state, next: error.next },
    troubles: troubles.slice(0, MOST_LISTED),
  }
}

/** What is counted, by the names of its metrics. */
const COUNTED: Readonly<Partial<Record<Sample['metric'], string>>> = {
  ebb_last_run_rows: 'rows',
  ebb_last_run_locked_rows: 'lockedRows',
  ebb_last_run_partitions: 'partitions',
  ebb_last_run_dropped_tables: 'droppedTables',
  ebb_last_run_batches: 'batches',
  ebb_last_run_paused_seconds: 'pausedSeconds',
  ebb_last_run_lock_waits: 'lockWaits',
}

/** `{ rowsDeleted: 1200, partitionsDropped: 2, batches: 3 }`, of all tables together. */
function countsOf(samples: readonly Sample[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { metric, labels, value } of samples) {
    const counted = COUNTED[metric]
    if (counted === undefined) continue
    const name = `${counted}${capitalized(labels.action ?? '')}`
    counts[name] = (counts[name] ?? 0) + value
  }
  return counts
}

function capitalized(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1)
}

function textOf({ command, database, outcome, exitCode, milliseconds, error, samples, troubles }: Ended): string {
  const how = outcome === 'done' ? `done in ${showElapsed(milliseconds)}` : `${HOW[outcome]} (exit code ${exitCode})`
  const left = troubles.length - MOST_TOLD
  return [
    `ebb ${command} on ${database}: ${how}`,
    ...(error === null ? [] : [error.message, error.next]),
    ...troubles.slice(0, MOST_TOLD).map(({ table, message }) => (table === null ? message : `${table}: ${message}`)),
    ...(left > 0 ? [`… and ${left} more`] : []),
    ...doneText(countsOf(samples)),
  ].join('\n')
}

const HOW: Readonly<Record<Exclude<Ended['outcome'], 'done'>, string>> = {
  failed: 'failed',
  usage: 'refused',
  objections: 'blocked',
  stopped: 'stopped on request',
  'try later': 'not completely done, to be continued',
  bug: 'failed by a bug',
}

/** `rows deleted 1,200, partitions dropped 2`. */
function doneText(counts: Record<string, number>): string[] {
  const told = Object.entries(counts).filter(([name, n]) => /^(rows|partitions)[A-Z]/.test(name) && n > 0)
  if (told.length === 0) return []
  return [told.map(([name, n]) => `${name.replace(/[A-Z]/, (a) => ` ${a.toLowerCase()}`)} ${showCount(n)}`).join(', ')]
}
