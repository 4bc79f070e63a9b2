import type { Target } from '../db/session.ts'
import type { Flag, StalePurgeRequest } from '../engine/commands/purge-stale.ts'
import type { EngineOptions } from '../engine/options.ts'
import { candidateSet } from '../engine/purge/candidate-review.ts'
import { readMarkedCondition, type Marked } from '../engine/purge/marked.ts'
import type { CandidateRequest } from '../plan/purge/candidates.ts'
import type { CandidateChoice, PurgeRequest } from '../plan/purge/request.ts'
import type { StaleGroups } from '../plan/purge/stale.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { BATCHES, COMMON, EXECUTE, TABLE } from './common.ts'
import { archive, refuseArchive } from './copying.ts'
import { flag, keysOf, option, withDefault, required, commandLineOnly, type Values } from './option.ts'
import { PACE } from './pace.ts'
import { APPROVAL, LOOKING } from './review.ts'
import { spec, type Given } from './spec.ts'
import { condition, interval, list, name, setNumber, tableColumn, tableName } from './parsers.ts'

/** Which rows are deleted: one of these. */
interface Rows {
  readonly where: string | null
  readonly candidates: CandidateChoice | null
  readonly marked: Marked | null
  readonly stale: StaleGroups | null
}

/** The request of a purge, before which rows are meant has been looked up in the database. */
export interface PurgeOrder {
  readonly rows: Rows
  /** Where stale groups are marked before. */
  readonly flag: Flag | null
  readonly deletion: Omit<PurgeRequest, keyof Rows>
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
  ...archive('archive the rows there first', 'remove the rows without archiving them'),
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
  ...LOOKING,
  approvedBy: { ...APPROVAL.approvedBy, property: 'candidates.approvedBy' },
  ticket: { ...APPROVAL.ticket, property: 'candidates.ticket' },
  ...PACE,
  ...COMMON,
}

const CHOICES = ['where', 'fromCandidates', 'marked', 'staleGroup'] as const

/** Of `ebb purge`. For programs, stale groups and recording candidates are calls of their own. */
export const PURGE = spec({
  options: OPTIONS,
  check(given) {
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
    refuseArchive(given)
    if (given.has('candidates')) return checkRecording(given)
    for (const key of keysOf(LOOKING)) given.needs(key, 'candidates')
    for (const key of keysOf(APPROVAL)) given.needs(key, 'fromCandidates')
  },
  request(values): PurgeOrder {
    const { where, fromCandidates: set, approvedBy, ticket, marked: column, olderThan } = values
    const { staleGroup: group, activity, idle } = values
    return {
      rows: {
        where,
        candidates: set === null ? null : { set, approvedBy, ticket },
        marked: column === null ? null : { column, olderThan },
        stale: group === null || activity === null || idle === null ? null : { group, activity, idle },
      },
      flag: values.flag,
      deletion: deletionOf(values),
    }
  },
})

/** Nothing is deleted, so options on how rows are deleted have no meaning. */
function checkRecording(given: Given<typeof OPTIONS>): void {
  for (const key of ['cascade', 'protect', 'orderBy'] as const)
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
  check: (given) => refuseArchive(given),
  request(values): StalePurgeRequest {
    const { staleGroup: group, activity, idle } = values
    return { ...deletionOf(values), where: '', stale: { group, activity, idle } }
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
  return { orderBy, allRows, vacuum: !noVacuum, noArchive, cascade, protect, accept }
}

/** The request of a purge in this database: only a candidate set knows its table, and how a column marks depends on its type. */
export async function resolvePurge(
  target: Target,
  named: WrittenName | null,
  { rows: { where, candidates, marked, stale }, deletion }: PurgeOrder,
  options: EngineOptions,
): Promise<{ readonly table: WrittenName; readonly request: PurgeRequest }> {
  const table = named ?? (await candidateSet(target, candidates?.set ?? '', options)).table
  if (candidates !== null) return { table, request: { ...deletion, where: '', candidates } }
  if (stale !== null) return { table, request: { ...deletion, where: '', stale } }
  const condition = marked === null ? where : await readMarkedCondition(target, table, marked)
  return { table, request: { ...deletion, where: condition ?? '' } }
}
