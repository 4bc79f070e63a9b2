import { LIGHT_PACE } from '../pacing/limits.ts'
import type { ArchiveRequest } from '../plan/archive/request.ts'
import type { RotateRequest } from '../plan/rotate/request.ts'
import { COMMON, EXECUTE, LOCKS, AT_END } from './common.ts'
import { METRICS_PORT } from './metrics-port.ts'
import { archiveOptions, archiveRequest, checkArchiveOrNot } from './archive-options.ts'
import { KEEP_JOURNAL } from './keep-journal.ts'
import { flag, option, withDefault, defaulted } from './option.ts'
import { PARTITION_PACE } from './pace.ts'
import { PLAN_FILE, checkPlanFile } from './plan-file.ts'
import { checkTo, TO } from './moving.ts'
import { spec } from './spec.ts'
import { interval, list, oneOf, tableName } from './parsers.ts'

export const ROTATE = spec({
  options: {
    tables: withDefault(option('[tables...]', 'partitioned tables, as SQL names them', list(tableName)), []),
    all: flag('--all', 'all tables managed by rotate; ebb partition registers its tables', {
      property: 'tables',
      means: 'all',
    }),
    keep: option('--keep <interval>', 'retention period, instead of the registered one', interval),
    retire: defaulted(
      '--retire <how>',
      'what to do with expired partitions: drop, detach, truncate, move (to another server: --to), or columnar (stay in the table, compressed by Citus)',
      oneOf('a way to retire a partition', 'drop', 'detach', 'truncate', 'move', 'columnar'),
      'drop',
    ),
    ...TO,
    grace: option(
      '--grace <interval>',
      'how long detached partitions stay before they are dropped, instead of the registered time (default: not at all)',
      interval,
    ),
    forget: flag('--forget', 'no longer manage the tables: their registration is removed, and nothing else'),
    ...archiveOptions('the rows'),
    hive: flag(
      '--hive',
      'with --archive: a folder for each partition, named after its lower bound (created_at_from=2026-11-01), as query engines expect',
    ),
    ...KEEP_JOURNAL,
    ...EXECUTE,
    ...PLAN_FILE,
    ...LOCKS,
    ...PARTITION_PACE,
    ...AT_END,
    ...METRICS_PORT,
    ...COMMON,
  },
  pace: LIGHT_PACE,
  check(given, { retire, execute }) {
    checkPlanFile(given, execute === true)
    const all = given.spell('all')
    if (given.has('tables') && given.has('all'))
      given.refuse('tables', `cannot be used with ${all}`, `Name tables, or pass ${all}.`)
    if (!given.has('tables') && !given.has('all'))
      given.refuse('tables', 'no table is named', `Name tables, or pass ${all}.`)
    for (const other of ['all', 'keep', 'retire', 'grace', 'archive', 'keepJournal', 'planOut', 'plan'] as const)
      if (given.has('forget') && given.has(other))
        given.refuse('forget', `cannot be used with ${given.spell(other)}`, 'Name the tables, and nothing else.')
    checkArchiveOrNot(given)
    given.needs('hive', 'archive')
    if (given.has('grace') && retire !== undefined && retire !== 'drop')
      given.refuse('grace', `nothing is dropped with ${given.spell('retire', retire)}`, 'Omit one of them.')
    if (given.has('archive') && given.has('keepMoved'))
      given.refuse(
        'archive',
        `what is removed with ${given.spell('keepMoved')} is not archived`,
        `Omit one of them; if the rows may be removed without an archive: ${given.spell('noArchive')}.`,
      )
    else if (given.has('archive') && retire !== undefined && !['drop', 'truncate'].includes(retire))
      given.refuse(
        'archive',
        `nothing is removed with ${given.spell('retire', retire)}`,
        'Omit one of them; ebb archive archives a detached partition.',
      )
    if (retire !== undefined) checkTo(given, retire === 'move')
  },
  request: ({
    tables,
    all,
    keep,
    retire,
    to,
    keepMoved,
    grace,
    noArchive,
    hive,
    forget,
    accept,
    ...values
  }): RotateRequest => ({
    tables: all ? 'all' : tables,
    keep,
    retire,
    ...(to === null ? {} : { to }),
    ...(keepMoved === null ? {} : { keepMoved }),
    grace,
    archive: inFolders(archiveRequest(values), hive),
    noArchive,
    forget,
    accept,
  }),
})

function inFolders(archive: ArchiveRequest | null, hive: boolean): ArchiveRequest | null {
  return archive === null || !hive ? archive : { ...archive, hive }
}
