import type { Command } from 'commander'
import { UsageError } from '../errors.ts'
import { parseInterval, type Interval } from '../grid/interval.ts'
import type { Transport } from '../plan/copy/work.ts'
import type { Faults, Settled } from './faults.ts'
import { refuseArchive } from './archive.ts'
import { parseBytes } from '../pacing/parse-settings.ts'
import { parseWhole } from './parse.ts'

/** The words of commands that copy. */
export interface CopyOptions {
  readonly transport?: string
  readonly jobs?: string
  /** Commander has one place for both: `--archive <uri>` puts the text there, `--no-archive` puts false. */
  readonly archive?: string | false
  readonly retireAfter?: string
  readonly diskFree?: string
}

/** What they mean. */
export interface CopySettings {
  readonly transport: Transport | 'auto'
  readonly jobs: number
  readonly noArchive: boolean
  readonly retireAfter: Interval | null
}

/** Gives a command the words on how rows are copied. */
export function withCopying(command: Command): Command {
  return command
    .option(
      '--transport <how>',
      'how rows are copied: copy (COPY streamed through Ebb, less WAL), server (insert … select), or auto, which tries both',
    )
    .option('--jobs <n>', 'chunks copied in parallel (default: 1)')
    .option('--archive <uri>', 'archive the rows left out there first (not yet possible in this version)')
    .option('--no-archive', 'remove the rows left out without archiving them')
    .option('--disk-free <size>', 'free disk space on the server: "50 GB"; a copy that would not fit is not started')
    .option(
      '--retire-after <interval>',
      'have ebb rotate drop the retired table this long after the end: "7 days" (default: ebb retire drops it)',
    )
}

const MOST_JOBS = 32

export function readCopying(words: CopyOptions, args: readonly string[], faults: Faults): Settled<CopySettings> {
  const transport = faults.read('--transport', () => parseTransport(words.transport ?? 'auto'))
  const jobs = faults.read('--jobs', () => parseWhole(words.jobs ?? '1', 1, MOST_JOBS))
  faults.read('--archive', () => refuseArchive(args))
  const retireAfter = faults.readOptional('--retire-after', words.retireAfter, parseInterval)
  return () => ({
    transport: transport(),
    jobs: jobs(),
    noArchive: words.archive === false,
    retireAfter: retireAfter(),
  })
}

/** Not part of what is copied, and how: by the time a run goes on there may be more of it, or less. */
export function readDiskFree({ diskFree }: CopyOptions, faults: Faults): Settled<{ readonly diskFree?: number }> {
  const free = faults.readOptional('--disk-free', diskFree, parseBytes)
  return () => {
    const bytes = free()
    return bytes === null ? {} : { diskFree: bytes }
  }
}

function parseTransport(text: string): Transport | 'auto' {
  if (text === 'auto' || text === 'copy' || text === 'server') return text
  throw new UsageError(`'${text}' is not a transport`, 'Pass copy, server or auto.')
}
