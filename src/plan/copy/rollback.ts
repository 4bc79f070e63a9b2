import type { ServerModel } from '../../catalog/server-model.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import { display, freeCompanion, quoted, sameName, type TableName } from '../../sql/names.ts'
import { dropTable, type Dropped } from '../../sql/drop-table.ts'
import { sql } from '../../sql/sql.ts'
import { dropCapture, dropHelpers } from './capture.ts'
import { validateInbound } from '../partition/conversion.ts'
import { constraintTriggerObjections, provenInbound, provenKeys } from '../table/constraint-triggers.ts'
import { foreignKeysOf } from '../table/definitions.ts'
import { giveBack, setAside, type Leaving } from '../table/dependents.ts'
import { compareFacts, factsOf, type Difference } from '../table/facts.ts'
import { renameBack } from '../table/rename-back.ts'
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
import { asideNames, swapOf } from '../table/aside.ts'
import type { AloneStep, Objection, Plan, Step, SwapStep } from '../language/step.ts'
import { keysOf, keysOnto, orphanCheck, type Referring } from '../references/orphans.ts'
import { underPath } from '../table/user-code.ts'
import { plan } from './release.ts'

// Undoing a copy after its swap. retire.ts drops what that needs.

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
function archiveStays({ receipt = null }: Pick<RebuildRollbackSituation, 'receipt'>): string[] {
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
