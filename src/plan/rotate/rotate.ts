import type { DefaultPartition } from '../../catalog/partitions/default-partition.ts'
import type { PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { plus } from '../../grid/grid.ts'
import { displayInterval } from '../../grid/interval.ts'
import { displayPosition, type Position } from '../../grid/key.ts'
import { display, type TableName } from '../../sql/names.ts'
import { describeKeep, policyDiffers, setObjections, unfinishedRun } from './objections.ts'
import { liesBefore } from './horizon.ts'
import { describeEvery, describePolicy, inferPolicy } from './policy.ts'
import type { RotateRequest } from './request.ts'
import { finalizeStep } from './retire.ts'
import { dropExclusion } from './beside-default.ts'
import { describeDefault } from './default-rows.ts'
import { citusSetObjections } from './on-citus.ts'
import { subPartitionObjections } from './sub-partitions.ts'
import { planRunway, type Runway } from './runway.ts'
import { unaccepted } from '../language/objection.ts'
import { siblingObjections } from '../table/own-parts.ts'
import type { SetPolicy } from '../language/policy.ts'
import { serverNotes, serverObjections } from '../table/objections/server.ts'
import type { Objection } from '../language/step.ts'
import { plural, showBytes } from '../../text/units.ts'
import { aboutRows } from './about-rows.ts'
import { planExpiry, type Expiry } from './candidates.ts'
import { leftoverSteps, planLeftovers } from './leftovers.ts'
import { planMovedExpiry, type MovedExpiry } from './moved-expiry.ts'
import type { RotationSituation, RotationPlan } from './plan.ts'

/** Plans the rotation of one set. Pure: same situation, same plan; the only clock is the server's. */
export function planRotation(situation: RotationSituation, request: RotateRequest): RotationPlan {
  const { set, server, registered, unfinished } = situation
  const impossible = serverObjections(server, situation.journalSchema)
  const fatal = impossible.length > 0 ? impossible : setObjections(set, server.role)
  if (fatal.length > 0) return refuse(set.name, registered, fatal)
  if (unfinished !== null)
    return refuse(set.name, registered, [unfinishedRun(set.name, unfinished.id, unfinished.command)])
  if (registered !== null && registered.column !== set.key?.column)
    return refuse(set.name, registered, [policyDiffers(set, registered.column)])
  if (registered !== null)
    return withPolicy(
      situation,
      request,
      registered,
      `by ${registered.column}, ${describeEvery(registered.every)}, ${registered.premake} ahead (registered)`,
    )
  const inferred = inferPolicy(set, situation.timezone)
  if ('fix' in inferred) return refuse(set.name, registered, [inferred])
  const { keep, grace } = request
  const policy = { ...inferred.policy, keep, ...(grace === null ? {} : { grace }) }
  return withPolicy(situation, request, policy, inferred.evidence)
}

/** A set that is or was managed by rotate. */
export interface ForgottenSet {
  readonly table: TableName
  readonly policy: SetPolicy
  /** Until when rows have a partition, for people; null where that is not known, or the table does not exist. */
  readonly until: string | null
  /** Partitions that were detached, and would be dropped by the next rotation. */
  readonly detached: readonly TableName[]
}

/** Plans the removal of a registration; tables and rows stay. `why`: it was asked for, or the table is gone. */
export function planForgetting(set: ForgottenSet, why: 'asked' | 'gone'): RotationPlan {
  const { table, policy } = set
  const name = display(table)
  const notes =
    why === 'gone'
      ? [`${name} is registered and no longer exists: rotate will remove its registration (${describePolicy(policy)})`]
      : notesOnForgetting(set)
  return { ...refuse(table, policy, []), goal: `no longer rotate ${name}`, forgets: true, notes }
}

function notesOnForgetting({ table, policy, until, detached }: ForgottenSet): string[] {
  const name = display(table)
  return [
    `only the registration is removed (${describePolicy(policy)}): ${name}, its partitions and their rows stay`,
    `rotate --all no longer creates partitions of ${name}, and no longer retires any: rows stay until somebody removes them`,
    ...(until === null ? [] : [`it has partitions until ${until}; without later ones, rows from then on are rejected`]),
    ...detached.map((one) => `${display(one)} was detached to be dropped, and stays as a table`),
    `to register it again: ebb rotate ${name} --execute`,
  ]
}

/** A plan that does nothing, with a reason. */
export function refuse(table: TableName, registered: SetPolicy | null, objections: readonly Objection[]): RotationPlan {
  return {
    goal: `rotate ${display(table)}`,
    at: '',
    table,
    policy: registered,
    registered: registered !== null,
    forgets: false,
    horizon: null,
    finalize: [],
    readmit: null,
    exclusion: null,
    create: [],
    leftovers: [],
    leftThere: [],
    watch: [],
    retire: [],
    withheld: [],
    skipped: [],
    historyGoesOn: null,
    evidence: [],
    dependents: [],
    objections,
    notes: [],
    steps: [],
  }
}

function withPolicy(
  situation: RotationSituation,
  request: RotateRequest,
  policy: SetPolicy,
  evidence: string,
): RotationPlan {
  const { set, server } = situation
  const now = BigInt(server.now)
  const finalize = set.partitions
    .filter(({ detachPending }) => detachPending)
    .map((partition) => ({ partition, step: finalizeStep(set, partition) }))
  const head = headOf(situation)
  const differing = [
    ...citusSetObjections(set),
    ...unaccepted(siblingObjections(set), request.accept),
    ...subPartitionObjections(set, request.accept),
  ]
  const evidenceOfRunway = { ...situation, now, head, role: server.role }
  const runway = differing.length > 0 ? NO_RUNWAY : planRunway(set, policy, evidenceOfRunway)
  const { create } = runway
  const beside = stepsBeside(situation.fallback, runway)
  const expiry = withMoved(planExpiry(situation, request, policy, now), (horizon) =>
    planMovedExpiry(situation, request, policy, horizon, now),
  )
  const blocked = expiry.objections.length > 0
  const leftovers = planLeftovers(situation, request, policy, expiry.horizon, blocked)
  const retire = blocked ? [] : expiry.candidates
  return {
    ...refuse(set.name, situation.registered, [...differing, ...runway.objections, ...expiry.objections]),
    at: new Date(Number(BigInt(situation.readAt) / 1000n)).toISOString(),
    policy,
    horizon: expiry.horizon,
    finalize,
    ...beside,
    create,
    leftovers: leftovers.finish,
    leftThere: expiry.leftThere,
    watch: leftovers.watch,
    retire,
    withheld: blocked ? expiry.candidates : [],
    skipped: [...expiry.skipped, ...leftovers.skipped],
    historyGoesOn: historyGoesOn(set, policy, expiry),
    evidence: [evidence, ...describeExpiry(expiry, request, situation.registered), ...expiry.evidence],
    notes: [...serverNotes(server), ...notesOn(situation, policy, expiry, request)],
    steps: [
      ...present(beside.readmit),
      ...finalize.map(({ step }) => step),
      ...present(beside.exclusion?.add),
      ...present(beside.exclusion?.validate),
      ...create.map(({ step }) => step),
      ...present(beside.exclusion?.drop),
      ...leftovers.watch.map(({ step }) => step),
      ...leftovers.finish.flatMap(leftoverSteps),
      ...expiry.leftThere.map(({ drop }) => drop),
      ...retire.flatMap(({ steps }) => steps),
    ],
  }
}

/** What is here, and what was moved before. */
function withMoved(here: Expiry, planMoved: (horizon: Expiry['horizon']) => MovedExpiry): Expiry & MovedExpiry {
  const moved = planMoved(here.horizon)
  const codes = here.objections.map(({ code }) => code)
  return {
    ...here,
    candidates: [...moved.candidates, ...here.candidates],
    leftThere: moved.leftThere,
    skipped: [...here.skipped, ...moved.skipped],
    objections: [...here.objections, ...moved.objections.filter(({ code }) => !codes.includes(code))],
    evidence: moved.evidence,
  }
}

const NO_RUNWAY: Runway = { create: [], exclusion: null, objections: [] }

/** What is done to the DEFAULT partition before and after partitions are created. */
function stepsBeside(
  fallback: DefaultPartition | null,
  { exclusion }: Runway,
): Pick<RotationPlan, 'readmit' | 'exclusion'> {
  if (fallback === null) return { readmit: null, exclusion: null }
  const { partition, hasCheck } = fallback
  return {
    readmit: hasCheck
      ? dropExclusion(partition, 'an interrupted rotation has left it, and it rejects rows', 'readmit')
      : null,
    exclusion:
      exclusion === null ? null : { ...exclusion, drop: dropExclusion(partition, 'the partitions are there', 'admit') },
  }
}

function present<T>(step: T | null | undefined): T[] {
  return step === null || step === undefined ? [] : [step]
}

/** The greatest id in use, from the rows and from their sequence. */
export function headOf({ newest, set }: Pick<RotationSituation, 'newest' | 'set'>): Position | null {
  const row = newest === null || newest === 'unknown' ? null : newest.key
  if (set.key?.kind !== 'id' || set.sequencePosition === null) return row
  return row === null || set.sequencePosition > row ? set.sequencePosition : row
}

function historyGoesOn(
  { partitions }: PartitionedTable,
  { kind, timezone }: SetPolicy,
  { horizon }: Expiry,
): RotationPlan['historyGoesOn'] {
  const history = partitions.find(({ range, detachPending }) => range !== null && range.from === null && !detachPending)
  if (!history?.range?.to || horizon === null || kind === 'id' || liesBefore(history.range, horizon.position))
    return null
  const position = plus(history.range.to, horizon.keep, kind, timezone)
  return { partition: history.name, position, shown: displayPosition(kind, position, timezone) }
}

function describeExpiry(
  { horizon, candidates, kept: left }: Expiry,
  { retire: method, keep, notNow }: RotateRequest,
  registered: SetPolicy | null,
): string[] {
  if (notNow !== undefined) return [`nothing is retired: ${notNow}`]
  if (horizon === null) return ['no retention period is set (--keep), so no rows are removed']
  const instead = registered === null || keep === null ? '' : ` (--keep; ${describeKeep(registered.keep)} registered)`
  const kept = `with ${displayInterval(horizon.keep)} kept${instead}, the horizon is ${horizon.shown}, by the server’s clock`
  const here = candidates.filter(({ removing }) => removing === null)
  if (here.length === 0 && left > 0)
    return [kept, `${plural(left, 'partition')} entirely before it, and kept, so none is retired: see below`]
  if (here.length === 0) return [kept, 'no partition is entirely before it, so none is retired']
  const bytes = here.reduce((sum, candidate) => sum + candidate.bytes, 0)
  return [
    kept,
    `to ${method}: ${plural(here.length, 'partition')}, ${aboutRows(here)}, ${showBytes(bytes)}; 0 rows inside the keep window`,
  ]
}

function notesOn(
  { set, registered, newest, fallback }: RotationSituation,
  policy: SetPolicy,
  { candidates, unknown }: Expiry,
  request: RotateRequest,
): string[] {
  const keep = request.keep === null ? '' : `, with ${displayInterval(request.keep)} kept from then on`
  return [
    ...(fallback === null || fallback.partition.empty ? [] : [describeDefault(fallback, policy)]),
    ...(registered === null ? [`the table will be registered${keep}, so that rotate --all includes it`] : []),
    ...(unknown > 0
      ? [`the age of the rows of ${plural(unknown, 'partition')} is not known yet; it is determined during execution`]
      : []),
    ...(newest === 'unknown' && candidates.length > 0
      ? [
          `the newest row could not be found quickly (no index begins with ${policy.column}), so whether the server’s clock agrees with it is checked during execution`,
        ]
      : []),
    ...(request.retire === 'columnar' && candidates.length > 0
      ? [
          'rows of columnar partitions can be read and added, and neither updated nor deleted; to remove them later: --retire drop with a longer --keep',
        ]
      : []),
    ...(set.publications.length > 0 && candidates.length > 0
      ? [
          `published by ${set.publications.join(', ')}: ${request.retire === 'truncate' ? 'a truncate of a partition is not sent under the name of the root (publish_via_partition_root); subscribers keep the rows, and stop at the next row that has one of their unique keys' : 'subscribers are not notified, because detaching and dropping emit no deletes'}`,
        ]
      : []),
  ]
}
