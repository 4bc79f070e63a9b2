import { UsageError } from '../errors.ts'
import type { EngineOptions } from '../engine/options.ts'
import { LOCK_LIMITS } from '../engine/locks/short-locks.ts'
import { DEFAULT_SCHEMA } from '../journal/journal.ts'
import { DEFAULT_PACE, type PaceSettings } from '../pacing/limits.ts'
import { HOOKS } from './hooks.ts'
import type { KEEP_JOURNAL } from './keep-journal.ts'
import { commandLineOnly, flag, inForm, option, withDefault, required, defaulted, type Values } from './option.ts'
import { pacingOf, type PACE } from './pace.ts'
import type { TO } from './moving.ts'
import { bytes, list, milliseconds, name, oneOf, tableName, text, whole } from './parsers.ts'

// Options that several commands have in common.

export const TABLE = required('<table>', 'as SQL names it: events, public.events, \'"My.Schema"."Events"\'', tableName)

export const EXECUTE = { execute: flag('--execute', 'execute the plan; without this it is only shown') }

/** Of every command with a database. */
export const DATABASE = {
  url: option(
    '--url <url>',
    'the database; else DATABASE_URL, else PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE',
    text,
    { property: null },
  ),
  journalSchema: defaulted('--journal-schema <name>', 'the schema of Ebb’s journal', name, DEFAULT_SCHEMA),
  json: flag('--json', 'print JSON, one object per line, on standard output', { property: null }),
  logFormat: defaulted(
    '--log-format <how>',
    'format of standard error: text, or json, one object per line, for a log collector',
    oneOf('a format', 'text', 'json'),
    'text',
    { property: null },
  ),
  showValues: flag('--show-values', 'show values of rows in errors and results', {
    property: null,
  }),
}

/** Who learns how a command has ended, of commands that run unattended. */
export const AT_END = {
  metricsFile: option(
    '--metrics-file <path>',
    'when it ends, replace this *.prom file with its metrics, for the textfile collector of Prometheus',
    prometheusFile,
    { property: null },
  ),
  // A program awaits the result.
  ...commandLineOnly(HOOKS),
}

function prometheusFile(value: unknown): string {
  const file = text(value)
  if (file.endsWith('.prom')) return file
  throw new UsageError(`${file} would not be collected, and is replaced`, 'Name a file that ends with .prom.')
}

/** The same, of commands whose plans may have objections. */
export const COMMON = {
  ...DATABASE,
  accept: withDefault(
    option('--accept <code>', 'accept this blocking issue; may be repeated', list(text), { repeated: true }),
    [],
  ),
}

/** With or without a time. */
const untilDeadline = inForm('text, number or true', (value): number | 'deadline' =>
  value === true ? 'deadline' : milliseconds(value),
)

/** What becomes of a second run on a table. */
const WAIT = {
  wait: option(
    '--wait [time]',
    'wait for another run of ebb on the same table: seconds, or 10 minutes (default: as long as --deadline)',
    untilDeadline,
  ),
}

/** How locks are asked for. */
export const LOCKS = {
  lockTimeout: defaulted(
    '--lock-timeout <ms>',
    'lock_timeout of each attempt: how long others may queue behind it',
    whole(1, 60_000),
    String(LOCK_LIMITS.lockTimeoutMs),
    { property: 'lockTimeoutMs' },
  ),
  deadline: deadline(
    'how long to retry for a lock: seconds, or 10 minutes',
    `${LOCK_LIMITS.deadlineMs / 60_000} minutes`,
  ),
  ...WAIT,
}

/** Of commands that change rows in batches. The deadline is short: locked rows can wait for the next run. */
export const BATCHES = {
  allRows: flag('--all-rows', 'allow a condition that is true of every row'),
  noVacuum: flag('--no-vacuum', 'do not vacuum and analyze at the end', { property: 'vacuum', means: false }),
  deadline: deadline(
    'how long to retry locked rows, and to wait for a locked table: seconds, or 10 minutes',
    '1 minute',
  ),
  ...WAIT,
}

function deadline(help: string, shown: string) {
  return defaulted('--deadline <time>', help, milliseconds, shown, { property: 'deadlineMs' })
}

/** Not part of a request: by the time a run is resumed it has changed. */
export const DISK_FREE = {
  diskFree: option(
    '--disk-free <size>',
    'free disk space on the server: "50 GB"; a copy that would not fit is not started',
    bytes,
  ),
}

/** The values that engine options are made of. */
export type EngineValues = Partial<
  Values<typeof COMMON & typeof LOCKS & typeof DISK_FREE & typeof KEEP_JOURNAL & typeof PACE & Pick<typeof TO, 'toUrl'>>
>

/** What a command is given besides its request; `usual` is the default pace. */
export function engineOptions(
  values: EngineValues,
  usual: PaceSettings = DEFAULT_PACE,
): Omit<EngineOptions, 'observer' | 'signal'> {
  const {
    journalSchema = DEFAULT_SCHEMA,
    accept = [],
    diskFree = null,
    keepJournal = null,
    wait = null,
    toUrl = null,
  } = values
  const { lockTimeout: lockTimeoutMs = LOCK_LIMITS.lockTimeoutMs, deadline: deadlineMs = LOCK_LIMITS.deadlineMs } =
    values
  return {
    journalSchema,
    accept,
    lockLimits: { ...LOCK_LIMITS, lockTimeoutMs, deadlineMs },
    pacing: pacingOf(values, usual),
    ...(wait === null ? {} : { waitMs: wait === 'deadline' ? deadlineMs : wait }),
    ...(diskFree === null ? {} : { diskFree }),
    ...(keepJournal === null ? {} : { keepJournal }),
    ...(toUrl === null ? {} : { toUrl }),
  }
}
