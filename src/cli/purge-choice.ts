import type { Command } from 'commander'
import type { Target } from '../db/session.ts'
import { candidateSet } from '../engine/purge/candidate-review.ts'
import { readMarkedCondition } from '../engine/purge/marked.ts'
import type { EngineOptions } from '../engine/options.ts'
import type { Flag } from '../engine/commands/purge-stale.ts'
import { UsageError } from '../errors.ts'
import { parseInterval, type Interval } from '../grid/interval.ts'
import type { PurgeRequest } from '../plan/purge/purge.ts'
import type { StaleGroups } from '../plan/purge/stale.ts'
import { parseTableName, type WrittenName } from '../sql/parse-name.ts'
import type { Review } from './candidate-options.ts'
import { MissingError, type Faults, type Settled } from './faults.ts'
import { parseCondition, parseName, parseWhole } from './parse.ts'

/** The words on which rows a purge means. */
export interface ChoiceOptions {
  readonly where?: string
  readonly candidates?: true
  readonly fromCandidates?: string
  readonly marked?: string
  readonly olderThan?: string
  readonly staleGroup?: string
  readonly activity?: string
  readonly idle?: string
  readonly flag?: string
  /** They say how rows go; not all ways of choosing rows leave that open. */
  readonly orderBy?: string
  readonly cascade?: true
  readonly protect?: readonly string[]
}

/** Which rows a purge means, as it was said. */
export type RowChoice =
  | { readonly kind: 'where'; readonly where: string }
  | { readonly kind: 'set'; readonly id: string }
  | { readonly kind: 'marked'; readonly column: string; readonly olderThan: Interval | null }
  | { readonly kind: 'stale'; readonly groups: StaleGroups; readonly flag: Flag | null }

/** Gives a command these words. */
export function withChoices(command: Command): Command {
  return command
    .option(
      '--where <condition>',
      'the rows to delete, as after WHERE: "created_at < now() - interval \'90 days\' and price < 100"; now() is fixed once, at the start',
    )
    .option('--candidates', 'delete nothing: record the keys of the rows in a candidate set, for review')
    .option('--from-candidates <set>', 'instead of --where: the rows of a candidate set that have not changed since')
    .option('--marked <column>', 'instead of --where: the rows that ebb mark has marked there')
    .option('--older-than <interval>', 'with --marked: only those marked longer ago: 30 days')
    .option('--stale-group <column>', 'instead of --where: all rows of the groups by this column without activity')
    .option('--activity <column>', 'with --stale-group: the time of a row’s activity')
    .option('--idle <interval>', 'with --stale-group: how long without activity: 90 days')
    .option(
      '--flag <table.column>',
      'with --stale-group: mark the groups there first, in the table that the foreign key of the column leads to',
    )
}

const WANTED = '--where "created_at < now() - interval \'90 days\'": the rows to delete'
const CHOICES = ['where', 'fromCandidates', 'marked', 'staleGroup'] as const
const SPELLED = ['--where', '--from-candidates', '--marked', '--stale-group']

/** Reads them; false values, and words that do not go together, are noted in `faults`. */
export function readChoice(words: ChoiceOptions, faults: Faults): Settled<RowChoice> {
  const said = CHOICES.filter((name) => words[name] !== undefined)
  if (said.length > 1)
    return faults.read('--where', () => {
      throw new UsageError(`only one of ${SPELLED.join(', ')} can say which rows are meant`, 'Omit the others.')
    })
  refuseLoners(words, faults)
  switch (said[0] ?? 'where') {
    case 'fromCandidates':
      return settled('set', {
        id: faults.readRequired('--from-candidates', words.fromCandidates, 'its number', (text) =>
          String(parseWhole(text, 1, Number.MAX_SAFE_INTEGER)),
        ),
      })
    case 'marked':
      return settled('marked', {
        column: faults.readRequired('--marked', words.marked, '--marked deleted_at', parseName),
        olderThan: faults.readOptional('--older-than', words.olderThan, parseInterval),
      })
    case 'staleGroup':
      return readStale(words, faults)
    case 'where':
      return settled('where', {
        where: faults.readRequired('--where', words.where, WANTED, (text) => parseCondition(text, WANTED)),
      })
  }
}

/** The parts of a choice, each asked for once all have been read. */
function settled<Kind extends RowChoice['kind']>(
  kind: Kind,
  parts: Readonly<Record<string, Settled<unknown>>>,
): Settled<RowChoice> {
  return () =>
    ({
      kind,
      ...Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, part()])),
    }) as unknown as RowChoice
}

function readStale(words: ChoiceOptions, faults: Faults): Settled<RowChoice> {
  const group = faults.readRequired('--stale-group', words.staleGroup, '--stale-group experiment_id', parseName)
  const activity = faults.readRequired(
    '--activity',
    words.activity,
    "--activity seen_at: the time of a row's activity",
    parseName,
  )
  const idle = faults.readRequired(
    '--idle',
    words.idle,
    "--idle '90 days': how long nothing must have happened",
    parseInterval,
  )
  const flag = faults.readOptional('--flag', words.flag, parseFlag)
  return () => ({ kind: 'stale', groups: { group: group(), activity: activity(), idle: idle() }, flag: flag() })
}

/** `experiments.archived_at`, `app."Experiments"."archived.at"`: the last part is the column. */
function parseFlag(text: string): Flag {
  const [, table, column] = /^(.+)\.("(?:[^"]|"")+"|[^".]+)$/.exec(text) ?? []
  if (table === undefined || column === undefined)
    throw new UsageError(`'${text}' is not a table and column`, 'Write --flag experiments.archived_at.')
  return { table: parseTableName(table), column: parseName(column) }
}

// Words that say something of another: alone they would be passed over in silence.
function refuseLoners(words: ChoiceOptions, faults: Faults): void {
  const loners = [
    ['--older-than', words.olderThan, '--marked', words.marked],
    ['--activity', words.activity, '--stale-group', words.staleGroup],
    ['--idle', words.idle, '--stale-group', words.staleGroup],
    ['--flag', words.flag, '--stale-group', words.staleGroup],
  ] as const
  for (const [word, value, needed, present] of loners)
    if (value !== undefined && present === undefined)
      faults.read(word, () => {
        throw new UsageError(`it says nothing without ${needed}`, `Add ${needed} <column>, or omit it.`)
      })
  if (words.orderBy !== undefined && words.fromCandidates !== undefined)
    faults.read('--order-by', () => {
      throw new UsageError('a candidate set is purged in the order of its keys', 'Omit --order-by.')
    })
  const going = words.cascade === true ? '--cascade' : words.protect !== undefined ? '--protect' : null
  if (words.candidates === true && going !== null)
    faults.read(going, () => {
      throw new UsageError('recording candidates deletes nothing', `Pass ${going} with --from-candidates.`)
    })
  if (words.candidates === true && (words.fromCandidates ?? words.staleGroup) !== undefined)
    faults.read('--candidates', () => {
      throw new UsageError('it goes with --where or --marked only', 'Say which rows with one of these.')
    })
}

/** The table, which only a candidate set knows by itself. */
export function readTableWord(text: string | undefined, { fromCandidates }: ChoiceOptions): WrittenName | null {
  if (text !== undefined) return parseTableName(text)
  if (fromCandidates !== undefined) return null
  throw new MissingError('Name the table to delete rows from.')
}

/** The part of a purge's request that a choice makes. */
export type WhichRows = Pick<PurgeRequest, 'where' | 'candidates' | 'stale'>

/** What a choice means in this database. */
export async function whichRows(
  target: Target,
  named: WrittenName | null,
  choice: RowChoice,
  { approvedBy, ticket }: Review,
  options: EngineOptions,
): Promise<{ table: WrittenName; which: WhichRows }> {
  if (choice.kind === 'set') {
    const table = named ?? (await candidateSet(target, choice.id, options)).table
    return { table, which: { where: '', candidates: { set: choice.id, approvedBy, ticket } } }
  }
  if (named === null) throw new Error('only a candidate set knows its table')
  switch (choice.kind) {
    case 'where':
      return { table: named, which: { where: choice.where } }
    case 'marked':
      return { table: named, which: { where: await readMarkedCondition(target, named, choice) } }
    case 'stale':
      return { table: named, which: { where: '', stale: choice.groups } }
  }
}
