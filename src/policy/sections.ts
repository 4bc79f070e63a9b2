import { ARCHIVE } from '../requests/archive-options.ts'
import { COMMON, LOCKS } from '../requests/common.ts'
import { KEEP_JOURNAL } from '../requests/keep-journal.ts'
import { MARK } from '../requests/mark.ts'
import type { Option, Options } from '../requests/option.ts'
import { PACE } from '../requests/pace.ts'
import { PARTITION } from '../requests/partition.ts'
import { HOLD } from '../requests/hold.ts'
import { PURGE, PURGE_STALE } from '../requests/purge.ts'
import { ROTATE } from '../requests/rotate.ts'
import { VIEW } from '../requests/view.ts'

// What a policy can say: options of the commands that carry it out, under the names that a program uses. A section has
// those of one command; what several commands have in common stands beside the sections, once.

/** The sections of a policy, with the keys of their options. */
export const SECTIONS = {
  partition: { spec: PARTITION, keys: ['by', 'every', 'premake', 'timezone', 'expireBy'] },
  mark: { spec: MARK, keys: ['where', 'set', 'allRows', 'noVacuum'] },
  view: { spec: VIEW, keys: ['name', 'hideMarked', 'expired', 'by', 'keep'] },
  hold: { spec: HOLD, keys: ['until', 'reason'] },
  stale: {
    spec: PURGE_STALE,
    keys: ['staleGroup', 'activity', 'idle', 'flag', 'cascade', 'protect', 'orderBy', 'allRows', 'noVacuum'],
  },
  purge: {
    spec: PURGE,
    keys: ['where', 'marked', 'olderThan', 'cascade', 'protect', 'orderBy', 'allRows', 'noVacuum'],
  },
} as const

export type SectionName = keyof typeof SECTIONS

export const SECTION_NAMES = Object.keys(SECTIONS) as SectionName[]

/** Of partitioned tables alone. */
const { keep, retire, to, toUrl, keepMoved, grace } = ROTATE.options
const OF_SETS = { keep, retire, to, toUrl, keepMoved, grace }

/** What the commands of a policy have in common. */
export const SHARED: Options = {
  ...OF_SETS,
  archive: {
    ...ARCHIVE.archive,
    help: 'where rows are archived before they are removed: a directory, file:///dir or s3://bucket/prefix; or none',
  },
  partSize: ARCHIVE.partSize,
  archiveFormat: ARCHIVE.archiveFormat,
  compression: ARCHIVE.compression,
  encryptTo: ARCHIVE.encryptTo,
  ...KEEP_JOURNAL,
  lockTimeout: LOCKS.lockTimeout,
  deadline: {
    ...LOCKS.deadline,
    help: 'how long locks are retried, of tables and of rows: 10 minutes, or a number of milliseconds',
  },
  wait: {
    ...LOCKS.wait,
    help: 'wait for another run of ebb on the same table: 10 minutes, a number of milliseconds, or true, as long as deadlineMs',
  },
  ...PACE,
  accept: { ...COMMON.accept, help: 'codes of blocking issues that are accepted at every run' },
}

/** What makes a policy one of a partitioned table. */
export const SET_KEYS: readonly string[] = ['partition', ...Object.keys(OF_SETS)]

/** The options of a section. */
export function optionsOf(section: SectionName): readonly Option[] {
  const { spec, keys } = SECTIONS[section]
  const options: Options = spec.options
  return keys.map((key) => options[key] as Option)
}
