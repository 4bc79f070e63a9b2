import type { PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import type { Beside } from '../../catalog/partitions/default-partition.ts'
import type { LackingPart } from '../../catalog/partitions/lacking-parts.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import { overlap, type Span } from '../../grid/gaps.ts'
import { displayInterval, type Interval } from '../../grid/interval.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { ident } from '../../sql/sql.ts'
import { spanOfBounds } from '../language/hold.ts'
import { objection, unaccepted } from '../language/objection.ts'
import type { AloneStep, Objection, Plan, ShortLockStep } from '../language/step.ts'
import { serverObjections } from '../table/objections/server.ts'
import type { BegunRetirement } from './begun.ts'
import { besideTooLarge } from './default-objections.ts'
import { setObjections, unfinishedRun } from './objections.ts'
import { attachStep, boundsCondition, proveBoundsStep } from './reattach.ts'

/** The request to attach a detached partition again. */
export interface ReattachRequest {
  /** How long no command removes its rows again; null: they go with the next rotation. */
  readonly hold: Interval | null
  readonly accept: readonly string[]
}

/** Everything that depends on, from one snapshot. */
export interface ReattachSituation {
  readonly server: ServerModel
  readonly journalSchema: string
  readonly begun: BegunRetirement
  /** The table it was a partition of; null where that is no longer partitioned. */
  readonly set: PartitionedTable | null
  /** What the table has, and the partition has not. */
  readonly lacking: readonly LackingPart[]
  /** The DEFAULT partition; null where there is none, or it is empty. */
  readonly beside: Beside | null
  /** An unfinished run on the table. */
  readonly unfinished: { readonly id: string; readonly command: string } | null
}

export interface ReattachPlan extends Plan {
  readonly begun: BegunRetirement
  readonly hold: Interval | null
  readonly steps: readonly (AloneStep | ShortLockStep)[]
}

/** Plans to attach a detached partition again, without a scan under lock. Pure. */
export function planReattach(situation: ReattachSituation, { hold, accept }: ReattachRequest): ReattachPlan {
  const { begun, set } = situation
  const { called, bounds, table } = begun
  const objections = unaccepted(objectionsTo(situation), accept)
  const partition = { name: called, boundsText: bounds }
  const because = `it was detached on ${begun.detachedAt.toISOString().slice(0, 10)}`
  return {
    goal: `attach ${display(called)} to ${display(set?.name ?? table)} again`,
    table: set?.name ?? table,
    evidence: [`${display(called)} was the partition ${bounds.toLowerCase()}`, describeProof(begun)],
    dependents: [],
    objections,
    notes: [describeHold(hold)],
    steps:
      set === null || objections.length > 0
        ? []
        : [
            ...(begun.provesBounds ? [] : [proveBoundsStep(set, partition, because)]),
            attachStep(set, partition, because),
          ],
    begun,
    hold,
  }
}

function describeProof(begun: BegunRetirement): string {
  const { provesBounds } = begun
  const since = describeWrites(begun)
  return provesBounds ? `${since}; a CHECK proves that its rows are within its bounds` : since
}

function describeWrites({ written, watched }: BegunRetirement): string {
  if (written) return 'it was written to since'
  return watched
    ? 'no row of it was inserted or updated since'
    : 'whether it was written to since is not known, for nothing noticed writes'
}

function describeHold(hold: Interval | null): string {
  return hold === null
    ? 'the next rotation detaches it again, if its rows have expired'
    : `no command removes its rows again for ${displayInterval(hold)}`
}

function objectionsTo({
  server,
  journalSchema,
  set,
  begun,
  lacking,
  beside,
  unfinished,
}: ReattachSituation): Objection[] {
  const impossible = serverObjections(server, journalSchema)
  if (impossible.length > 0) return impossible
  if (set === null) return [notPartitioned(begun)]
  const ofSet = setObjections(set, server.role)
  if (ofSet.length > 0) return ofSet
  return [
    ...(unfinished === null ? [] : [unfinishedRun(set.name, unfinished.id, unfinished.command)]),
    ...rangeTaken(set, begun),
    ...(beside === null ? [] : besideDefault(set, begun, beside)),
    ...lacking.map((part) => lacks(begun.called, set.name, part)),
    ...(begun.written ? [writtenTo(begun.called)] : []),
  ]
}

function notPartitioned({ table, called }: BegunRetirement): Objection {
  return objection(
    'not-partitioned',
    `${display(table)}, which ${display(called)} was a partition of, is no longer a partitioned table`,
    'Copy its rows, if they are wanted: insert into … select ….',
  )
}

/** Its range belongs to another partition by now. */
function rangeTaken({ key, partitions, name }: PartitionedTable, { called, bounds }: BegunRetirement): Objection[] {
  const range: Span | null = key === null ? null : spanOfBounds(key.kind, bounds)
  const taken = range === null ? [] : partitions.filter((one) => one.range !== null && overlap(one.range, range))
  return taken.map((one) =>
    objection(
      `range-taken:${display(one.name)}`,
      `${display(one.name)} has rows of the range of ${display(called)} by now`,
      `Insert the rows of ${display(called)} into ${display(name)} instead, or detach ${display(one.name)} first.`,
    ),
  )
}

function besideDefault(set: PartitionedTable, { called, bounds }: BegunRetirement, beside: Beside): Objection[] {
  const { fallback, rows } = beside
  if (typeof rows !== 'number' || rows === 0) return besideTooLarge(set, called, beside)
  const columns = set.columns.filter(({ generated }) => !generated).map(({ name }) => ident(name).text)
  const [from, into, all] = [quoted(fallback).text, quoted(called).text, columns.join(', ')]
  return [
    objection(
      `range-taken:${display(fallback)}`,
      `${display(fallback)}, the DEFAULT partition, has rows of the range of ${display(called)} by now`,
      `Move them into it, and then accept that it was written to (--accept written): with moved as (delete from ${from} where ${boundsCondition(set, bounds)} returning ${all}) insert into ${into} (${all}) select ${all} from moved;`,
    ),
  ]
}

function lacks(called: TableName, parent: TableName, { name, what, statement }: LackingPart): Objection {
  const fix =
    statement === null
      ? `Make it as ${display(parent)} has it, or insert its rows into ${display(parent)}.`
      : `First: ${statement};`
  return objection(
    `lacks:${name}`,
    `${display(parent)} has changed since, and ${display(called)} lacks its ${what}`,
    fix,
  )
}

function writtenTo(called: TableName): Objection {
  return {
    code: 'written',
    what: `${display(called)} was written to since it was detached: those rows would be in the table, too`,
    fix: 'Look at them; if they belong there: --accept written',
    acceptable: true,
  }
}
