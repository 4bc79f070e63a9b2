import { Option, type Command } from 'commander'
import { DEFAULT_PACE, type PaceSettings, type Pacing } from '../pacing/limits.ts'
import { parsePaceWord } from '../pacing/parse-settings.ts'
import type { Faults, Settled } from './faults.ts'
import { collect } from './parse.ts'

/** The words on pace, as commander hands them over. */
export interface PaceOptions {
  readonly maxBlocked?: string
  readonly maxReplicaLag?: string
  readonly maxSlotWal?: string
  readonly maxWalRate?: string
  readonly maxArchiveBacklog?: string
  readonly maxActive?: string
  readonly yieldToVacuum?: string
  readonly window?: readonly string[]
  readonly healthSql?: string
  readonly healthUrl?: string
  readonly pauseFile?: string
  readonly stopFile?: string
  readonly pauseMs?: string
  readonly targetMs?: string
  readonly paceFile?: string
}

const OPTIONS: readonly (readonly [flags: string, description: string])[] = [
  ['--max-blocked <n>', 'wait while more sessions than this wait for our locks, or off (default: 0)'],
  ['--max-replica-lag <bytes>', 'wait while a replica is further behind: 16MB, or off (default: 64MB)'],
  ['--max-slot-wal <bytes>', 'wait while a replication slot keeps more WAL, or off (default: 8GB)'],
  ['--max-wal-rate <bytes>', 'wait while the server writes more WAL a second: 20MB (default: off)'],
  ['--max-archive-backlog <bytes>', 'wait while more WAL waits for the archiver, or off (default: 4GB)'],
  ['--max-active <n>', 'wait while more sessions of others are active on the server (default: off)'],
  [
    '--yield-to-vacuum <which>',
    'wait while a vacuum of the table is running: wraparound, any or none (default: wraparound)',
  ],
  [
    '--window <times>',
    "work only at these times of the day: 01:00-05:00 (UTC), '22:00-04:00 Europe/Berlin'; may be repeated",
  ],
  ['--health-sql <query>', 'wait while the first column of its first row is not true'],
  ['--health-url <url>', 'wait while it does not answer 2xx'],
  ['--pause-file <path>', 'wait while this file exists'],
  ['--stop-file <path>', 'stop (resumable) when this file exists'],
  ['--pause-ms <ms>', 'fixed pause after every batch (default: 0)'],
  ['--target-ms <ms>', 'target duration of a batch (default: 50)'],
  ['--pace-file <path>', 'a JSON file with these settings, reloaded when it changes'],
]

/** Words that a command has no use for which copies chunks: they have a size of their own. */
export const OF_CHUNKS = { without: ['target-ms'] }
/** And one that lets go of partitions as a whole. */
export const OF_PARTITIONS = { without: ['pause-ms', 'target-ms'] }

/** Gives a command the words on pace. */
export function withPace(
  command: Command,
  { without }: { readonly without: readonly string[] } = { without: [] },
): Command {
  for (const [flags, description] of OPTIONS) {
    const option = new Option(flags, description)
    if (option.name() === 'window') option.argParser(collect)
    if (!without.includes(option.name())) command.addOption(option)
  }
  return command
}

/** The words on pace that were said, as flags. */
export function saidOfPace(words: PaceOptions): string[] {
  return OPTIONS.map(([flags]) => new Option(flags))
    .filter((option) => words[option.attributeName() as keyof PaceOptions] !== undefined)
    .map((option) => `--${option.name()}`)
}

/** Reads the words on pace; false values are noted in `faults`. */
export function readPace(words: PaceOptions, faults: Faults, defaults: PaceSettings = DEFAULT_PACE): Settled<Pacing> {
  const read = OPTIONS.map(([flags]) => new Option(flags))
    .filter((option) => option.name() !== 'pace-file')
    .map((option) => {
      const word = words[option.attributeName() as keyof PaceOptions]
      const text = typeof word === 'string' || word === undefined ? word : word.join(',')
      return faults.readOptional(`--${option.name()}`, text, (given) => parsePaceWord(option.name(), given))
    })
  return () => ({
    settings: Object.assign({}, defaults, ...read.map((settled) => settled() ?? {})) as PaceSettings,
    paceFile: words.paceFile ?? null,
  })
}
