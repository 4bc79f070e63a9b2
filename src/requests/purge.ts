import type { Target } from '../db/session.ts'
import type { Flag, StalePurgeRequest } from '../engine/commands/purge-stale.ts'
import type { EngineOptions } from '../engine/options.ts'
import { candidateSet } from '../engine/purge/candidates/review.ts'
import { readMarkedCondition, type Marked } from '../engine/purge/marked.ts'
import type { CandidateRequest } from '../plan/purge/candidates.ts'
import type { PurgeRequest, RowSource } from '../plan/purge/request.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { BATCHES, COMMON, EXECUTE, AT_END, TABLE } from './common.ts'
import { METRICS_PORT } from './metrics-port.ts'
import { archiveOptions, archiveRequest, checkArchiveOrNot } from './archive-options.ts'
import { KEEP_JOURNAL } from './keep-journal.ts'
import { flag, keysOf, option, withDefault, required, commandLineOnly, type Values } from './option.ts'
import { PACE } from './pace.ts'
import { APPROVAL, LOOKING } from './review.ts'
import { PLAN_FILE, checkPlanFile } from './plan-file.ts'
import { spec, type Given } from './spec.ts'
import { condition, interval, list, name, setNumber, tableColumn, tableName } from './parsers.ts'

/** The request of a purge before the database is read: how a column marks rows depends on its type. */
export interface PurgeOrder {
  readonly rows: RowSource | MarkedRows
  /** Where stale groups are marked first. */
  readonly flag: Flag | null
  readonly deletion: Omit<PurgeRequest, 'rows'>
}

interface MarkedRows extends Marked {
  readonly kind: 'marked'
}

const EXAMPLE = { example: ["created_at < now() - interval '90 days'", 'the rows to delete'] } as const
const WHERE = option(
  '--where <condition>',
  'the rows to delete, as after WHERE: "created_at < now() - interval \'90 days\' and price < 100"; now() is fixed once, at the start',
  condition,
  EXAMPLE,
)

const STALE = {
  staleGroup: required(
    '--stale-group <column>',
    'instead of --where: all rows of the groups by this column without activity',
    name,
    { property: 'group', example: ['experiment_id'] },
  ),
  activity: required('--activity <column>', 'with --stale-group: the time of a row’s activity', name, {
    example: ['seen_at', "the time of a row's activity"],
  }),
  idle: required('--idle <interval>', 'with --stale-group: how long without activity: 90 days', interval, {
    example: ['90 days', 'how long nothing must have happened'],
  }),
  flag: option(
    '--flag <table.column>',
    'with --stale-group: mark the groups there first, in the table referenced by the foreign key of the column',
    tableColumn,
  ),
}

/** How rows are deleted. */
const DELETION = {
  ...archiveOptions('the rows'),
  ...KEEP_JOURNAL,
  cascade: flag('--cascade', 'also delete rows of other tables that reference them, in the same transaction'),
  protect: withDefault(
    option(
      '--protect <table>',
      'touch no row of this table: rows leading to one are skipped and reported; may be repeated',
      list(tableName),
      { repeated: true },
    ),
    [],
  ),
  orderBy: option('--order-by <column>', 'walk an index that begins with this column', name),
  ...BATCHES,
}

const OPTIONS = {
  table: option('[table]', TABLE.help, tableName),
  where: WHERE,
  candidates: flag('--candidates', 'delete nothing: record the keys of the rows in a candidate set, for review', {
    property: null,
  }),
  fromCandidates: option(
    '--from-candidates <set>',
    'instead of --where: the rows of a candidate set that have not changed since',
    setNumber,
    { property: 'candidates.set' },
  ),
  marked: option('--marked <column>', 'instead of --where: the rows that ebb mark has marked there', name, {
    property: 'marked.column',
  }),
  olderThan: option('--older-than <interval>', 'with --marked: only those marked longer ago: 30 days', interval, {
    property: 'marked.olderThan',
  }),
  ...commandLineOnly(STALE),
  ...DELETION,
  ...EXECUTE,
  ...PLAN_FILE,
  ...LOOKING,
  approvedBy: { ...APPROVAL.approvedBy, property: 'candidates.approvedBy' },
  ticket: { ...APPROVAL.ticket, property: 'candidates.ticket' },
  ...PACE,
  ...AT_END,
  ...METRICS_PORT,
  ...COMMON,
}

const CHOICES = ['where', 'fromCandidates', 'marked', 'staleGroup'] as const

/** Of `ebb purge`. For programs, stale groups and recording candidates are calls of their own. */
export const PURGE = spec({
  options: OPTIONS,
  check(given, { execute }) {
    checkPlanFile(given, execute === true)
    if (given.has('candidates'))
      for (const key of keysOf(PLAN_FILE))
        if (given.has(key)) given.refuse(key, 'a candidate set is what is reviewed', `Omit ${given.name(key)}.`)
    const offered = CHOICES.filter((key) => given.offers(key))
    const [choice = 'where', ...others] = offered.filter((key) => given.has(key))
    const names = offered.map((key) => given.name(key)).join(', ')
    if (others.length > 0) given.refuse(choice, `only one of ${names} can select the rows`, 'Omit the others.')
    else given.require(choice)
    // Only a candidate set knows its table.
    if (!given.has('fromCandidates')) given.require('table', 'Name the table to delete rows from.')
    given.needs('olderThan', 'marked')
    if (given.has('staleGroup')) for (const key of ['activity', 'idle'] as const) given.require(key)
    for (const key of keysOf(STALE)) given.needs(key, 'staleGroup')
    if (given.has('fromCandidates') && given.has('orderBy'))
      given.refuse('orderBy', 'a candidate set is purged in the order of its keys', `Omit ${given.name('orderBy')}.`)
    checkArchiveOrNot(given)
    if (given.has('candidates')) return checkRecording(given)
    for (const key of keysOf(LOOKING)) given.needs(key, 'candidates')
    for (const key of keysOf(APPROVAL)) given.needs(key, 'fromCandidates')
  },
  request: (values): PurgeOrder => ({ rows: rowsOf(values), flag: values.flag, deletion: deletionOf(values) }),
})

function rowsOf(values: Values<typeof OPTIONS>): PurgeOrder['rows'] {
  const { where, fromCandidates: set, approvedBy, ticket, marked: column, olderThan } = values
  const { staleGroup: group, activity, idle } = values
  if (where !== null) return { kind: 'matching', where }
  if (set !== null) return { kind: 'candidates', set, approvedBy, ticket }
  if (column !== null) return { kind: 'marked', column, olderThan }
  if (group !== null && activity !== null && idle !== null) return { kind: 'stale', group, activity, idle }
  throw new Error('a purge without rows was not refused')
}

/** Nothing is deleted, so options on how rows are deleted have no meaning. */
function checkRecording(given: Given<typeof OPTIONS>): void {
  for (const key of ['archive', 'cascade', 'protect', 'orderBy'] as const)
    if (given.has(key))
      given.refuse(
        key,
        'recording candidates deletes nothing',
        `Pass ${given.name(key)} with ${given.name('fromCandidates')}.`,
      )
  if (given.has('fromCandidates') || given.has('staleGroup'))
    given.refuse('candidates', 'it goes with --where or --marked only', 'Select the rows with one of these.')
}

/** Of a program's `purgeStale`. */
export const PURGE_STALE = spec({
  options: { table: TABLE, ...STALE, ...DELETION, ...EXECUTE, ...PACE, ...COMMON },
  check: (given) => checkArchiveOrNot(given),
  request(values): StalePurgeRequest {
    const { staleGroup: group, activity, idle } = values
    return { ...deletionOf(values), rows: { kind: 'stale', group, activity, idle } }
  },
})

/** Of a program's `candidates`. */
export const CANDIDATES = spec({
  options: {
    table: TABLE,
    where: required(WHERE.flags, WHERE.help, condition, EXAMPLE),
    deadline: BATCHES.deadline,
    ...EXECUTE,
    ...PACE,
    ...COMMON,
  },
  request: ({ where }): CandidateRequest => ({ where }),
})

function deletionOf(values: Values<typeof DELETION & typeof COMMON>): PurgeOrder['deletion'] {
  const { orderBy, allRows, noVacuum, noArchive, cascade, protect, accept } = values
  const archive = archiveRequest(values)
  const archived = archive === null ? {} : { archive }
  return { orderBy, allRows, vacuum: !noVacuum, noArchive, ...archived, cascade, protect, accept }
}

/** The request of a purge in this database: only a candidate set knows its table, and how a column marks depends on its type. */
export async function resolvePurge(
  target: Target,
  named: WrittenName | null,
  { rows, deletion }: PurgeOrder,
  options: EngineOptions,
): Promise<{ readonly table: WrittenName; readonly request: PurgeRequest }> {
  const table = named ?? (await tableOf(target, rows, options))
  if (rows.kind !== 'marked') return { table, request: { ...deletion, rows } }
  const where = await readMarkedCondition(target, table, rows, options)
  return { table, request: { ...deletion, rows: { kind: 'matching', where } } }
}

async function tableOf(target: Target, rows: PurgeOrder['rows'], options: EngineOptions): Promise<WrittenName> {
  if (rows.kind !== 'candidates') throw new Error('a purge without a table was not refused')
  return (await candidateSet(target, rows.set, options)).table
}
