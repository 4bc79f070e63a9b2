import type { ServerModel } from '../../catalog/server-model.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import { display, freeCompanion, quoted, sameName, type TableName } from '../../sql/names.ts'
import { dropTable, type Dropped } from '../../sql/drop-table.ts'
import { sql } from '../../sql/sql.ts'
import { abandonment } from '../language/abandonment.ts'
import { dropCapture, dropHelpers, endCapture, type CaptureObjects } from './capture.ts'
import { validateInbound } from '../partition/conversion.ts'
import { constraintTriggerObjections, provenInbound, provenKeys } from '../table/constraint-triggers.ts'
import { foreignKeysOf } from '../table/definitions.ts'
import { giveBack, setAside, type Leaving } from '../table/dependents.ts'
import { compareFacts, factsOf, type Difference } from '../table/facts.ts'
import { renameBack } from '../table/rename-back.ts'
import { exclusive, lockExclusively } from '../language/locks.ts'
import { objection, when } from '../language/objection.ts'
import type { RebuildSummary } from './summary.ts'
import { captureTriggers, verifyStep } from './steps.ts'
import {
  addForeignKeys,
  foreignKeySteps,
  online,
  rename,
  validateForeignKeys,
  withProven,
  withUnproven,
} from '../table/shadow.ts'
import { exchangeBack, type SplitSummary } from '../split/exchange.ts'
import { asideNames, neighbours, swapOf } from '../table/aside.ts'
import type { AloneStep, ShortLockStep, Lock, Objection, OnlineStep, Plan, Step, SwapStep } from '../language/step.ts'
import { keysOf, keysOnto, orphanCheck, type Referring } from '../references/orphans.ts'
import { underPath } from '../table/user-code.ts'

// Undoing a copy: it is abandoned before the swap, and rolled back after it. retire.ts drops what a rollback needs.

/** Takes back what an unfinished rebuild has put beside the table. */
export function planAbandonRebuild(
  runId: string,
  rebuild: RebuildSummary,
  present: TableName | null,
  done: ReadonlySet<string>,
  shadowOid: string | null,
): Plan {
  const evidence = 'the table itself has not been touched: only what was put beside it is taken away'
  return abandonment(runId, rebuild.original.name, evidence, abandonSteps(rebuild, present, done, shadowOid))
}

/**
 * The steps of that; each may find nothing to undo. `present` is what the table is called now; null when it is gone.
 * `done` tells whether the shadow is ours: before its step, a user may have created a table of that name. After it, it has
 * this oid; null for a run of an earlier version.
 */
export function abandonSteps(
  rebuild: RebuildSummary,
  present: TableName | null,
  done: ReadonlySet<string>,
  shadowOid: string | null,
): (ShortLockStep | OnlineStep)[] {
  const { forward, back } = rebuild
  return [
    // First, for it takes most room.
    ...(done.has('shadow') ? [dropShadow(rebuild, present, shadowOid)] : []),
    // Before the capture has begun there is nothing on the table that a lock would have to be waited for.
    ...(present === null || !done.has('capture')
      ? []
      : [release('abandon:capture', { ...forward.capture, table: present })]),
    online('abandon:logs', 'drop the logs', 'they are no longer needed', 'milliseconds', [
      ...dropHelpers(forward.capture),
      ...dropHelpers(back.capture),
    ]),
  ]
}

/** Its foreign keys, once it has them, have triggers on the tables that they refer to: those are locked, too. */
function dropShadow(
  { original, shadow, sourceOid }: RebuildSummary,
  present: TableName | null,
  oid: string | null,
): ShortLockStep {
  const source = { name: present ?? original.name, oid: sourceOid }
  const referenced = neighbours({ ...original, inboundForeignKeys: [] })
  return shortLock(
    'abandon:shadow',
    `drop ${display(shadow)}`,
    'it is no longer needed, and its disk space is freed',
    [shadow, ...referenced].map(exclusive),
    referenced.map(lockExclusively),
    [oid === null ? sql`drop table if exists ${quoted(shadow)}`.text : dropTable({ name: shadow, oid }, source)],
  )
}

/**
 * Ends a run that has swapped its tables and cannot be resumed; `rebuild` is what it copied.
 * The steps that it has not done are listed.
 */
export function planLeaving(
  runId: string,
  table: TableName,
  undone: readonly string[],
  rebuild: RebuildSummary | null,
): Plan {
  const steps =
    rebuild === null
      ? []
      : [
          online(
            'abandon:release',
            'drop the log of the copy',
            'nothing writes to it any more',
            'milliseconds',
            dropHelpers(rebuild.forward.capture),
          ),
        ]
  const evidence = [
    'the tables have changed places already, and that stays; it can be rolled back',
    ...undone.map((title) => `not done: ${title}`),
  ]
  return plan(`end run ${runId} on ${display(table)} where it is`, table, evidence, [], steps)
}

/**
 * Ends a run after its swap without the foreign keys `unproven`, whose rows cannot be validated, and without its archive;
 * the rest is finished.
 */
export function planFinishing(
  runId: string,
  table: TableName,
  unproven: readonly string[],
  unarchived: boolean,
  steps: readonly Step[],
): Plan {
  const evidence = [
    'the tables have changed places already, and that stays',
    ...(unproven.length === 0 ? [] : [UNPROVEN, ...unproven.map((title) => `not done: ${title}`)]),
    ...(unarchived
      ? [`the rows left out are not archived yet: ebb retire ${runId} does that before it drops them`]
      : []),
  ]
  const without = [
    ...(unproven.length === 0 ? [] : ['validating its foreign keys']),
    ...(unarchived ? ['archiving the rows left out'] : []),
  ]
  const goal = `end run ${runId} on ${display(table)} without ${without.join(' and ')}`
  return plan(goal, table, evidence, [], steps)
}

const UNPROVEN =
  'foreign keys that were not validated stay NOT VALID: new rows are checked, rows that refer to nothing stay'

export interface RebuildRollbackSituation {
  readonly runId: string
  readonly rebuild: RebuildSummary
  readonly current: TableModel
  /** What it is called now; null where it has been dropped. */
  readonly retired: TableName | null
  /** What has kept changes from being caught since, in words. */
  readonly gaps: readonly string[]
  /** Of a new table that is partitioned. */
  readonly partitions: readonly Dropped[]
  /** Partitions that rotate has removed since. */
  readonly removed: readonly string[]
  readonly taken: ReadonlySet<string>
  readonly server: Pick<ServerModel, 'role' | 'superuser'>
  /** Of the rows left out. */
  readonly receipt?: string | null
}

/** Plans the rollback to the retired table, which has every write made since. Pure. */
export function planRebuildRollback(situation: RebuildRollbackSituation): Plan & { readonly index: null } {
  const { runId, rebuild, current } = situation
  const objections = rollbackObjections(situation)
  const evidence = [
    `changes since the swap have been captured; they are applied to ${display(rebuild.retired)} before it is swapped back`,
    ...archiveStays(situation),
  ]
  const steps = objections.length > 0 ? [] : rollbackSteps(situation)
  return {
    ...plan(
      `roll back run ${runId}: bring the retired table of ${display(current.name)} back`,
      current.name,
      evidence,
      objections,
      steps,
    ),
    index: null,
  }
}

/** Nothing is removed because of it. */
export function archiveStays({ receipt = null }: Pick<RebuildRollbackSituation, 'receipt'>): string[] {
  if (receipt === null) return []
  return [`the rows left out come back with it; their archive stays, and has no removal.json: ${receipt}`]
}

function rollbackObjections(situation: RebuildRollbackSituation): Objection[] {
  const { runId, rebuild, current, retired, gaps, removed, server } = situation
  const changed = changesSince(rebuild, current)
  return [
    ...constraintTriggerObjections(rebuild.original, server.superuser, () => true),
    ...when(retired === null, () =>
      objection(
        'retired',
        `the retired table ${display(rebuild.retired)} has been dropped`,
        `There is nothing to roll back to. To stop capturing changes for it: ebb retire ${runId}`,
      ),
    ),
    ...(retired === null || sameName(retired, rebuild.retired) ? [] : [renamed(retired, rebuild.retired)]),
    ...when(retired !== null && gaps.length > 0, () =>
      objection(
        'gap',
        `changes of ${display(current.name)} have not all been captured since: ${gaps.join('; ')}`,
        `They would be lost, so a rollback is impossible. Keep the new table, and drop the retired one: ebb retire ${runId}`,
      ),
    ),
    ...when(removed.length > 0, () =>
      objection(
        'removed',
        `partitions have been removed since: ${removed.join(', ')}`,
        'Their rows would silently come back, because the retired table still has them. Keep the new table.',
      ),
    ),
    ...when(changed.length > 0, () =>
      objection(
        'changed',
        `${display(current.name)} has been altered since the rebuild: ${changed.map(({ fact }) => fact).join(', ')}`,
        'Undo these changes first; they would be lost.',
      ),
    ),
  ]
}

/** That a foreign key has not been validated is no change: a run may have been ended without that. */
function changesSince(rebuild: RebuildSummary, current: TableModel): Difference[] {
  const since = (table: TableModel) => compareFacts(rebuild.outcome, factsOf(table, captureTriggers(rebuild)))
  const proven = new Set(since(withProven(current)).map(({ fact }) => fact))
  return since(current).filter(({ fact }) => proven.has(fact))
}

function renamed(present: TableName, recorded: TableName): Objection {
  return objection(
    'retired-renamed',
    `the retired table ${display(recorded)} is called ${display(present)} now`,
    `Give it its name back: ${renameBack(present, recorded)}`,
  )
}

function rollbackSteps({ rebuild, current, partitions, taken, server }: RebuildRollbackSituation): Step[] {
  const { original, back, retired } = rebuild
  const gone = { schema: original.name.schema, name: freeCompanion(original.name.name, '_ebb', taken) }
  return [
    ...orphanCheck(keysAfterRollback(rebuild, current), rebuild.forward.settings),
    catchUp(back, retired),
    underPath(vacuumStep(retired), original, back.settings),
    compareBack(rebuild),
    swapBack(
      rebuild,
      current,
      partitions.map(({ name }) => name),
      gone,
      taken,
      server.role,
    ),
    ...validateForeignKeys([original.name], provenKeys(original)),
    online('drop-new', `drop ${display(gone)}`, 'the retired table has taken its place again', 'milliseconds', [
      dropTable({ name: gone, oid: current.oid }),
      ...dropHelpers(back.capture),
    ]),
    ...provenInbound(original).map((key) => validateInbound(original.name, key)),
  ]
}

/** Those of the rows that are there now, and of those that were left out, which nothing has held to since. */
function keysAfterRollback({ original, retired, forward }: RebuildSummary, current: TableModel): Referring[] {
  const leftOut =
    forward.keep === null
      ? []
      : keysOf({ ...original, name: retired }, provenKeys(original), `(${forward.keep}\n) is not true`)
  return [
    ...keysOf(current, provenKeys(current)),
    ...leftOut.map((key) => (sameName(key.to, original.name) ? { ...key, to: retired } : key)),
    ...keysOnto(current, provenInbound(current)),
  ]
}

function vacuumStep(retired: TableName): AloneStep {
  return {
    kind: 'alone',
    key: 'vacuum',
    title: `vacuum and analyze ${display(retired)}`,
    because: 'so that its plans are ready',
    locks: [],
    cost: '',
    statements: [sql`vacuum (analyze) ${quoted(retired)}`.text],
  }
}

/** Plans the return of a partition that was split. Pure. */
export function planSplitRollback(
  situation: RebuildRollbackSituation,
  split: SplitSummary,
): Plan & { readonly index: null } {
  const { runId, rebuild, current, partitions } = situation
  const { back, retired } = rebuild
  const objections = [...rollbackObjections(situation), ...addedSince(situation, split)]
  const { prove, swap, dropLeaves } = exchangeBack(current, rebuild, split, partitions)
  const steps: Step[] = [
    catchUp(back, retired),
    ...foreignKeysOf(current).flatMap((key) => foreignKeySteps([retired], key)),
    compareBack(rebuild),
    prove,
    swap,
    online(
      'drop-new',
      'drop the partitions it was split into',
      'the old partition has taken its place again',
      'milliseconds',
      [...dropLeaves, ...dropHelpers(back.capture)],
    ),
  ]
  const goal = `roll back run ${runId}: bring ${display(retired)} back`
  const evidence = [
    `changes since the split have been caught; they are brought into ${display(retired)} first`,
    ...archiveStays(situation),
  ]
  return { ...plan(goal, current.name, evidence, objections, objections.length > 0 ? [] : steps), index: null }
}

/** A partition beside the former DEFAULT that it does not know: both would have its rows. */
function addedSince({ partitions, current }: RebuildRollbackSituation, { beside, leaves }: SplitSummary): Objection[] {
  if (beside === undefined) return []
  const known = [...leaves, ...beside.partitions]
  const added = partitions.filter(({ name }) => !known.some((one) => sameName(one, name)))
  return when(added.length > 0, () =>
    objection(
      'partitions-since',
      `partitions of ${display(current.name)} were added since: ${added.map(({ name }) => display(name)).join(', ')}; their rows are in the former DEFAULT partition as well`,
      'Keep the new partitions, and drop the retired table with ebb retire.',
    ),
  )
}

function catchUp(work: RebuildSummary['back'], target: TableName): Step {
  return {
    kind: 'reconcile',
    key: 'reconcile',
    title: `bring ${display(target)} up to date`,
    because: 'it gets every write made since the swap',
    locks: [],
    cost: 'blocks no other session',
    statements: [],
    work,
    pass: 'until the log is short',
  }
}

/** Rows that were left out are only in the retired table. */
function compareBack({ original, retired, forward, back }: RebuildSummary): Step {
  return verifyStep(
    `compare ${display(retired)} with ${display(original.name)}, row by row`,
    back,
    forward.keep,
    'auto',
  )
}

function swapBack(
  rebuild: RebuildSummary,
  current: TableModel,
  partitions: readonly TableName[],
  gone: TableName,
  taken: ReadonlySet<string>,
  role: string,
): SwapStep {
  const { original, retired, aside, back } = rebuild
  const ours = captureTriggers(rebuild)
  const now = asideNames(current, null, new Set([...taken, gone.name]), '_ebb')
  const table = { ...current, triggers: current.triggers.filter(({ name }) => !ours.includes(name)) }
  const from: Leaving = { table, place: gone, names: now, keepsForeignKeys: false }
  const foreignKeys = addForeignKeys([original.name], foreignKeysOf(original))
  return {
    ...swapOf(current, now, ours),
    key: 'swap-back',
    title: `swap back: ${display(retired)} becomes ${display(original.name)} again`,
    because: 'it holds every row there was, and every write made since',
    statements: [
      rename(current.name, gone),
      ...dropCapture(back.capture, gone),
      ...setAside(from),
      rename(retired, original.name),
      ...giveBack({ table: original, from, names: aside, parts: [], role, foreignKeys }),
    ],
    after: factsOf(withUnproven(original, foreignKeysOf(original))),
    partitions,
    work: back,
  }
}

/** Takes the capture off a table that is in use. */
export function release(key: string, capture: CaptureObjects): ShortLockStep {
  const { table } = capture
  const lock: Lock = exclusive(table)
  return shortLock(
    key,
    `stop capturing changes of ${display(table)}`,
    'nothing needs them any more',
    [lock],
    [lockExclusively(table)],
    endCapture(capture),
    table,
  )
}

function shortLock(
  key: string,
  title: string,
  because: string,
  locks: readonly Lock[],
  acquireLocks: readonly string[],
  statements: readonly string[],
  quiet: TableName | null = null,
): ShortLockStep {
  return {
    kind: 'short lock',
    key,
    title,
    because,
    locks,
    cost: 'milliseconds',
    quiet,
    acquire: acquireLocks,
    statements,
  }
}

/** A plan with nothing else to say. */
export function plan(
  goal: string,
  table: TableName,
  evidence: readonly string[],
  objections: readonly Objection[],
  steps: readonly Step[],
): Plan {
  return { goal, table, evidence, dependents: [], objections, notes: [], steps }
}
