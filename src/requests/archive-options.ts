import { readFileSync } from 'node:fs'
import { cwd } from 'node:process'
import zlib from 'node:zlib'
import { messageOf, UsageError } from '../errors.ts'
import { parseDestination, uriOf } from '../plan/archive/destination.ts'
import { checkRecipient } from '../plan/archive/recipient.ts'
import { FORMATS } from '../plan/archive/formats.ts'
import type { ArchiveFormat, ArchiveRequest, Compression } from '../plan/archive/request.ts'
import { showBytes } from '../text/units.ts'
import { defaulted, flag, inForm, option, withDefault, type Option, type Options, type Values } from './option.ts'
import { bytes, list, oneOf, text } from './parsers.ts'
import type { Given } from './spec.ts'

// Where rows are archived before they are removed, and how.

/** Without it, Node has no zstd (before 22.15). */
const HAS_ZSTD = 'createZstdCompress' in zlib

const LEAST_PART = 1e6
// Objects of a bucket have at most 10,000 parts, which are kept in memory one by one.
const MOST_PART = 50e9

const partBytes = inForm('text or number', (value) => {
  const size = bytes(value)
  if (size >= LEAST_PART && size <= MOST_PART) return size
  const [least, most] = [showBytes(LEAST_PART), showBytes(MOST_PART)]
  throw new UsageError(`objects can have from ${least} to ${most}`, `Write a size from ${least} to ${most}.`)
})

/** How rows are archived. */
const WAYS = {
  partSize: defaulted(
    '--part-size <size>',
    'with --archive: about how large each object is before compression; rows are not split',
    partBytes,
    '256 MB',
  ),
  archiveFormat: defaulted(
    '--archive-format <format>',
    'with --archive: csv, which COPY reads, or parquet, for DuckDB, Spark and others (requires the package @duckdb/node-api)',
    oneOf<ArchiveFormat>('a format', 'csv', 'parquet'),
    'csv',
  ),
  compression: option(
    '--compression <how>',
    'with --archive: zstd, gzip or none (default: zstd, but gzip for CSV where Node.js has no zstd, before 22.15)',
    oneOf<Compression>('a compression', 'zstd', 'gzip', 'none'),
  ),
  encryptTo: withDefault(
    option(
      '--encrypt-to <recipient>',
      'with --archive: encrypt for this age recipient (age1…), or those listed in a file; may be repeated',
      recipients,
      { repeated: true },
    ),
    [],
  ),
}

/** Options of a command that archives and removes nothing. */
export const ARCHIVE = {
  archive: option(
    '--archive <uri>',
    'where to: a directory, file:///dir or s3://bucket/prefix?region=…; credentials as the AWS SDK finds them',
    archiveUri,
  ),
  ...WAYS,
}

/** Options of a command that removes rows: `what` is archived first, or else removed without. */
export function archiveOptions(what: string) {
  return {
    ...ARCHIVE,
    archive: {
      ...ARCHIVE.archive,
      help: `archive ${what} there first: a directory, file:///dir or s3://bucket/prefix?region=…`,
    },
    noArchive: flag('--no-archive', `remove ${what} without archiving them`),
  }
}

type Archiving = typeof ARCHIVE & { readonly noArchive?: Option<boolean> }

/** Notes options that say nothing without `--archive`, or contradict it. */
function checkArchive(given: Given<Options & Archiving>): void {
  for (const key of Object.keys(WAYS)) given.needs(key, 'archive')
}

/** The same where rows are removed. */
export function checkArchiveOrNot(given: Given<Options & ReturnType<typeof archiveOptions>>): void {
  checkArchive(given)
  if (given.has('archive') && given.has('noArchive'))
    given.refuse('noArchive', `it contradicts ${given.name('archive')}`, `Omit ${given.name('archive')}, or it.`)
}

/** Null where nothing is archived. */
export function archiveRequest(values: Values<typeof ARCHIVE>): ArchiveRequest | null {
  const { archive: uri, archiveFormat: format, partSize: partBytes, encryptTo } = values
  if (uri === null) return null
  return { uri, format, compression: compression(values.compression, format), partBytes, encryptTo }
}

/** Absolute, without credentials. */
export function archiveUri(value: unknown): string {
  return uriOf(parseDestination(text(value), cwd()))
}

function compression(wanted: Compression | null, format: ArchiveFormat): Compression {
  const possible = HAS_ZSTD || FORMATS[format].hasZstd
  if (wanted === null) return possible ? 'zstd' : 'gzip'
  if (wanted !== 'zstd' || possible) return wanted
  throw new UsageError(
    `this version of Node.js, ${process.version}, has no zstd`,
    'Use Node.js 22.15 or later, or compress with gzip.',
  )
}

/** Each once, so that a receipt lists them once. */
function recipients(value: unknown): readonly string[] {
  return [...new Set(list(text)(value).flatMap(readRecipients))]
}

function readRecipients(given: string): string[] {
  return /^age(?:1|-)/i.test(given) ? [checkRecipient(given)] : readRecipientFile(given)
}

/** One recipient in each line, as `age -R` reads it: with empty lines and comments. */
function readRecipientFile(path: string): string[] {
  const lines = linesOf(path).map((line, i) => ({ line: line.trim(), number: i + 1 }))
  const named = lines.filter(({ line }) => line !== '' && !line.startsWith('#'))
  if (named.length === 0) throw new UsageError(`${path} names no recipients`, 'Write one of age in each line, age1….')
  return named.map(({ line, number }) => inFile(path, number, line))
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n')
  } catch (error) {
    throw new UsageError(
      `'${path}' is neither a recipient of age nor a file that can be read: ${messageOf(error)}`,
      'Pass a recipient, age1…, or a file with one in each line.',
      error,
    )
  }
}

function inFile(path: string, number: number, line: string): string {
  try {
    return checkRecipient(line)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    // What stands there may be a secret of any kind.
    throw new UsageError(`line ${number} of ${path} is not a recipient of age`, error.advice.next)
  }
}
