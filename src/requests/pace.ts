import type { PaceSettings, Pacing } from '../pacing/limits.ts'
import { paceText, parsePaceWord } from '../pacing/parse-settings.ts'
import { inForm, nameOf, option, type Option, type Values } from './option.ts'
import { text } from './parsers.ts'

type Setting = Partial<PaceSettings>

/** When a run gives way, by the names of its settings. */
const LIMITS = described({
  maxBlocked: [
    '--max-blocked <n>',
    'wait while more sessions than this wait for locks of the run, or off (default: 0)',
  ],
  maxReplicaLagBytes: [
    '--max-replica-lag <bytes>',
    'wait while a replica is further behind: 16MB, or off (default: 64MB)',
  ],
  maxSlotWalBytes: ['--max-slot-wal <bytes>', 'wait while a replication slot retains more WAL, or off (default: 8GB)'],
  maxWalBytesPerSecond: [
    '--max-wal-rate <bytes>',
    'wait while the server writes more WAL a second: 20MB (default: off)',
  ],
  maxArchiveBacklogBytes: [
    '--max-archive-backlog <bytes>',
    'wait while more WAL is waiting to be archived, or off (default: 4GB)',
  ],
  maxActive: ['--max-active <n>', 'wait while more sessions of others are active on the server (default: off)'],
  yieldToVacuum: [
    '--yield-to-vacuum <which>',
    'wait while a vacuum of the table is running: wraparound, any or none (default: wraparound)',
  ],
  windows: [
    '--window <times>',
    "work only at these times of the day: 01:00-05:00 (UTC), '22:00-04:00 Europe/Berlin'; may be repeated",
  ],
  healthSql: ['--health-sql <query>', 'wait while the first column of its first row is not true'],
  healthUrl: ['--health-url <url>', 'wait while it does not answer 2xx'],
  pauseFile: ['--pause-file <path>', 'wait while this file exists'],
  stopFile: ['--stop-file <path>', 'stop (resumable) when this file exists'],
})
const PAUSE = described({ pauseMs: ['--pause-ms <ms>', 'fixed pause after every batch (default: 0)'] })
const TARGET = described({ targetMs: ['--target-ms <ms>', 'target duration of a batch (default: 50)'] })
const FILE = {
  paceFile: option('--pace-file <path>', 'a JSON file with these settings, reloaded when it changes', text, {
    property: 'pace.paceFile',
  }),
}

/** Of commands that work in batches. */
export const PACE = { ...LIMITS, ...PAUSE, ...TARGET, ...FILE }
/** Of commands that copy: chunks have a target duration of their own. */
export const CHUNK_PACE = { ...LIMITS, ...PAUSE, ...FILE }
/** Of rotate, which removes whole partitions. */
export const PARTITION_PACE = { ...LIMITS, ...FILE }

/** The options of some settings, from flags and help. */
function described<Key extends keyof PaceSettings>(
  settings: Readonly<Record<Key, readonly [flags: string, help: string]>>,
): Readonly<Record<Key, Option<Setting | null>>> {
  const options = Object.entries<readonly [string, string]>(settings).map(([key, [flags, help]]) => {
    const parse = inForm('text or number', (value) => parsePaceWord(nameOf(flags), paceText(value)))
    return [key, option(flags, help, parse, { property: `pace.${key}`, repeated: key === 'windows' })]
  })
  return Object.fromEntries(options) as Readonly<Record<Key, Option<Setting | null>>>
}

/** The pace; `usual` has the settings that are not given. */
export function pacingOf({ paceFile = null, ...values }: Partial<Values<typeof PACE>>, usual: PaceSettings): Pacing {
  const read = Object.keys(PACE).map((key) => (values as Readonly<Record<string, Setting | null>>)[key])
  return { settings: Object.assign({}, usual, ...read) as PaceSettings, paceFile }
}
