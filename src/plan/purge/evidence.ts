import { display } from '../../sql/names.ts'
import { showBytes, showCount } from '../../text/units.ts'
import { WAL_PER_DELETED_ROW } from '../advise/rates.ts'
import { describeAhead } from '../references/ahead.ts'
import { cascadeNotes, describeReferences } from '../references/cascade-text.ts'
import { describeReading } from '../table/objections/condition.ts'
import { serverNotes } from '../table/objections/server.ts'
import { describeArchiving } from './archive/archiving.ts'
import { describeSet } from './candidate-set.ts'
import { aboutShare, matchingRows } from './matching-rows.ts'
import type { PurgeRequest } from './request.ts'
import { knownRows, type PurgeSituation } from './situation.ts'
import { describeGroups } from './stale.ts'
import { isStored, storedNotes } from './stored.ts'
import type { ChosenWalk } from './walk.ts'

/** What a plan is based on, for people. */
export function evidenceOf(
  situation: PurgeSituation,
  chosen: readonly ChosenWalk[],
  { archive }: PurgeRequest,
): string[] {
  const { predicate, condition, leaves, cascade, candidates, groups } = situation
  const matching = matchingRows(leaves)
  const shown = chosen.slice(0, MOST_SHOWN)
  const by =
    candidates !== undefined
      ? 'as recorded in the set'
      : groups
        ? 'by the share of stale groups'
        : 'by the planner’s estimate'
  return [
    ...(groups === undefined ? [] : [describeGroups(groups)]),
    ...(candidates === undefined
      ? [`deleted: ${predicate.text}`, ...describeReading(condition)]
      : [describeSet(candidates)]),
    `${candidates === undefined ? aboutShare(leaves, by) : `${showCount(matching)} rows, ${by}`}${walOf(situation)}`,
    ...(archive === undefined ? [] : [describeArchiving(archive)]),
    ...shown.map(({ leaf, why }) => `${display(leaf.name)}: ${describeWalk(leaf.walk)} (${why})`),
    ...(chosen.length > MOST_SHOWN ? [`… and ${chosen.length - MOST_SHOWN} more partitions`] : []),
    ...describeReferences(cascade, leaves.some(isStored) ? 'transaction' : 'statement'),
    ...describeAhead(cascade),
  ]
}

function walOf(situation: PurgeSituation): string {
  const rows = knownRows(situation)
  return rows === null
    ? ''
    : `; about ${showBytes(rows * WAL_PER_DELETED_ROW)} of WAL, and as much again for the vacuum`
}

const MOST_SHOWN = 10

function describeWalk(walk: ChosenWalk['leaf']['walk']): string {
  return walk.kind === 'blocks' ? 'block after block' : `along ${walk.index}`
}

/** What else has to be known. */
export function notesOn({ server, table, leaves, cascade }: PurgeSituation, { vacuum }: PurgeRequest): string[] {
  const triggers = [...new Set(leaves.flatMap(({ deleteTriggers }) => deleteTriggers))]
  const foreign = leaves.filter(({ mayVacuum }) => !mayVacuum)
  return [
    ...serverNotes(server),
    ...(triggers.length === 0 ? [] : [`triggers fire as for any delete: ${triggers.join(', ')}`]),
    ...(table.publications.length === 0
      ? []
      : [
          `each deleted row is a delete event for subscribers of ${table.publications.map(({ name }) => name).join(', ')}`,
        ]),
    ...(vacuum && foreign.length > 0
      ? [`${foreign.map(({ name }) => display(name)).join(', ')} will not be vacuumed: only the owner may`]
      : []),
    ...cascadeNotes(cascade),
    ...storedNotes(leaves),
    'rows locked by other sessions are skipped and retried; rows that come to match during the run may be left for the next one',
    'no disk space is returned to the operating system: it is reused by new rows (ebb rebuild returns it)',
  ]
}
