import type { WrittenTable } from '../catalog/written-tables.ts'
import { display } from '../sql/names.ts'
import { oneLine, wrap } from '../text/comment.ts'
import { showAbout, showBytes, showCount, showRows } from '../text/units.ts'

// The text of a first config, of what has been found in a database. What is kept is for its owner to say: those keys
// are there without a value, and a config with such a key is refused.

/** How a table is partitioned, or could be. */
export interface FoundKey {
  readonly by: string
  readonly every: string
  /** Null for partitions by id. */
  readonly timezone: string | null
  /** The time by which rows expire, where the key is an id; null where it is not known. */
  readonly expireBy: string | null
}

/** Rows of some time: of the whole table, or of its complete partitions. */
export interface Growth {
  readonly from: Date
  readonly to: Date
  readonly rows: number | null
  readonly bytes: number
}

/** A table to write a policy for. */
export interface FoundTable extends WrittenTable {
  /** Null where its rows can only be deleted by a condition. */
  readonly key: FoundKey | null
  readonly growth: Growth | null
  /** Why this key, and what stands in the way. */
  readonly remarks: readonly string[]
}

/** More updates and deletes, as a share of the inserts, and it is a table whose rows change. */
const MOST_CHANGES = 0.05
/** The largest that together have this share of the bytes; the others hardly count. */
const SHARE = 0.95
const MOST_TABLES = 20

/** The largest tables whose rows are inserted and hardly ever changed, of all that there are, the largest first. */
export function largestAppendOnly(tables: readonly WrittenTable[]): WrittenTable[] {
  const appendOnly = tables.filter(({ inserted, updated, deleted }) => updated + deleted <= MOST_CHANGES * inserted)
  const sorted = appendOnly.toSorted((a, b) => b.bytes - a.bytes)
  const enough = SHARE * bytesOf(sorted)
  return sorted.filter((_, i) => i < MOST_TABLES && bytesOf(sorted.slice(0, i)) < enough)
}

function bytesOf(tables: readonly WrittenTable[]): number {
  return tables.reduce((sum, { bytes }) => sum + bytes, 0)
}

/** The lines of a config in YAML. */
export function firstConfig(tables: readonly FoundTable[]): string[] {
  return [
    `# yaml-language-server: $schema=${SCHEMA}`,
    ...comment(HEAD),
    'policies:',
    ...tables.flatMap((table, i) => [...(i === 0 ? [] : ['']), ...policyOf(table)]),
  ]
}

const SCHEMA = 'https://raw.githubusercontent.com/pg-ebb/pg-ebb/main/docs/config.schema.json'

const HEAD =
  'Written by ebb init: the largest tables whose rows are inserted and hardly ever changed. Fill in the keys without a value, or remove the tables that are to stay as they are: as long as one is empty, ebb run does nothing.'

function policyOf(table: FoundTable): string[] {
  const { name, key, remarks } = table
  return [
    ...comment(describeSize(table), '  '),
    ...comment(describeWrites(table), '  '),
    `  ${scalar(display(name))}:`,
    ...remarks.flatMap((remark) => comment(remark, '    ')),
    ...(key === null ? CONDITION : [...partitionOf(key), ...KEEP]),
    ...ARCHIVE,
  ]
}

const CONDITION = ['    purge:', '      # which rows are removed: a condition in SQL', '      where:']

const KEEP = ['    # how long rows are kept: a number of days, weeks, months or years', '    keep:']

const ARCHIVE = [
  '    # where rows are archived before they are removed: a directory, file:///dir or s3://bucket/prefix; or none',
  '    archive:',
]

function partitionOf({ by, every, timezone, expireBy }: FoundKey): string[] {
  const expiry = expireBy === null ? '' : ` ${scalar(expireBy)}`
  return [
    '    partition:',
    `      by: ${scalar(by)}`,
    `      every: ${every}`,
    ...(timezone === null
      ? ['      # the column with the time by which rows expire', `      expireBy:${expiry}`]
      : [`      timezone: ${timezone}`]),
  ]
}

function describeSize({ bytes, rows, growth }: FoundTable): string {
  const size = `${showBytes(bytes)}, ${showAbout(rows)}`
  if (growth === null) return size
  const days = daysOf(growth)
  const rowsPerDay = growth.rows === null ? '' : `${showRows(growth.rows / days)} and `
  return `${size}; ${rowsPerDay}${showBytes(growth.bytes / days)} a day from ${dayOf(growth.from)} to ${dayOf(growth.to)}`
}

function describeWrites({ inserted, updated, deleted }: FoundTable): string {
  if (inserted === 0) return 'no writes since the last statistics reset, so whether its rows change is not known'
  return `${showCount(inserted)} inserted, ${showCount(updated)} updated, ${showCount(deleted)} deleted since the last statistics reset`
}

const MS_PER_DAY = 86_400_000

/** Less than a day says little about a day. */
function daysOf({ from, to }: Growth): number {
  return Math.max((to.getTime() - from.getTime()) / MS_PER_DAY, 1)
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 'YYYY-MM-DD'.length)
}

const WIDTH = 116

function comment(text: string, indent = ''): string[] {
  return wrap(text, WIDTH - indent.length).map((line) => `${indent}# ${line}`)
}

/** In quotes where YAML would read it otherwise. */
function scalar(text: string): string {
  const isPlain = /^[a-z_][a-z0-9_.]*$/i.test(text) && !/^(?:true|false|null)$/i.test(text)
  return isPlain ? text : oneLine(JSON.stringify(text))
}
