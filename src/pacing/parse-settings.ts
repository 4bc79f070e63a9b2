import { UsageError } from '../errors.ts'
import type { PaceSettings } from './limits.ts'
import { parseWindow } from './window.ts'

// The pacing settings, the same as flags (`--max-active 20`) and in a pace file (`{"max-active": 20}`). `off` removes
// a limit.

const READERS: Readonly<Record<string, (text: string) => Partial<PaceSettings>>> = {
  'max-blocked': (text) => ({ maxBlocked: unlessOff(text, parseCount) }),
  'max-replica-lag': (text) => ({ maxReplicaLagBytes: unlessOff(text, parseBytes) }),
  'max-slot-wal': (text) => ({ maxSlotWalBytes: unlessOff(text, parseBytes) }),
  'max-wal-rate': (text) => ({ maxWalBytesPerSecond: unlessOff(text.replace(/\/s$/, ''), parseRate) }),
  'max-archive-backlog': (text) => ({ maxArchiveBacklogBytes: unlessOff(text, parseBytes) }),
  'max-active': (text) => ({ maxActive: unlessOff(text, parseCount) }),
  'yield-to-vacuum': (text) => ({ yieldToVacuum: text === 'off' ? 'none' : parseVacuum(text) }),
  window: (text) => ({ windows: unlessOff(text, (list) => list.split(',').map(parseWindow)) ?? [] }),
  'health-sql': (text) => ({ healthSql: unlessOff(text, parseText) }),
  'health-url': (text) => ({ healthUrl: unlessOff(text, parseHealthUrl) }),
  'pause-file': (text) => ({ pauseFile: unlessOff(text, parseText) }),
  'stop-file': (text) => ({ stopFile: unlessOff(text, parseText) }),
  'pause-ms': (text) => ({ pauseMs: unlessOff(text, parseCount) ?? 0 }),
  'target-ms': (text) => ({ targetMs: parseTarget(text) }),
}

/** The names of the settings. */
export const PACE_WORDS: readonly string[] = Object.keys(READERS)

/** Parses one setting, several windows separated by commas. @throws {UsageError} */
export function parsePaceWord(word: string, text: string): Partial<PaceSettings> {
  const read = Object.hasOwn(READERS, word) ? READERS[word] : undefined
  if (read === undefined)
    throw new UsageError(`'${word}' is not a pacing setting`, `Settings are ${PACE_WORDS.join(', ')}.`)
  return read(text)
}

/** A value as it would stand on the command line: null for off, several windows in a list. */
export function paceText(value: unknown): string {
  if (value === null) return 'off'
  return Array.isArray(value) ? value.map(paceText).join(',') : written(value)
}

/** Text as it is, a number as text. */
export function written(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  throw new UsageError('neither text nor a number', 'Write text or a number.')
}

function unlessOff<T>(text: string, parse: (text: string) => T): T | null {
  return text === 'off' ? null : parse(text)
}

const UNITS: Readonly<Record<string, number>> = { '': 1, B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 }

/** `16MB`, `1.5 GB`, `65536`: in powers of a thousand, as Ebb shows bytes. */
export function parseBytes(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,15}(?:\.\d{1,3})?) ?([kKMGT]?B)?$/.exec(text) ?? []
  const factor = UNITS[unit.toUpperCase()]
  if (digits === undefined || factor === undefined)
    throw new UsageError(`'${text}' is not a number of bytes`, 'Write it as 65536, 16MB or 1.5GB.')
  return Math.round(Number(digits) * factor)
}

function parseRate(text: string): number {
  const rate = parseBytes(text)
  if (rate > 0) return rate
  throw new UsageError('a rate of 0 would wait for ever', 'Write it as 20MB, or off.')
}

function parseCount(text: string): number {
  if (/^\d{1,7}$/.test(text)) return Number(text)
  throw new UsageError(`'${text}' is not a whole number`, 'Write a whole number, or off.')
}

function parseTarget(text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (value >= 1 && value <= MOST_TARGET_MS) return value
  throw new UsageError(
    `'${text}' is not a duration for a batch`,
    `Write milliseconds from 1 to ${MOST_TARGET_MS}; 50 is usual.`,
  )
}

const MOST_TARGET_MS = 60_000

function parseVacuum(text: string): PaceSettings['yieldToVacuum'] {
  if (text === 'none' || text === 'wraparound' || text === 'any') return text
  throw new UsageError(`'${text}' is not a kind of vacuum`, 'Use wraparound, any or none.')
}

function parseText(text: string): string {
  if (text.trim() !== '' && !text.includes('\0')) return text
  throw new UsageError('it is empty', 'Leave it out, or give a value.')
}

// A URL is not repeated in an error: it may contain credentials.
function parseHealthUrl(text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text
  throw new UsageError('this is not an http or https URL', 'Write it as https://host/path.')
}
