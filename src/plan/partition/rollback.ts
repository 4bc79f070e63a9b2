import type { ServerModel } from '../../catalog/server-model.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import { keysOf, keysOnto, orphanCheck } from '../references/orphans.ts'
import { display, freeCompanion, quoted, type TableName } from '../../sql/names.ts'
import { ident, sql } from '../../sql/sql.ts'
import { validateInbound } from './conversion.ts'
import { asideNames, swapOf } from '../table/aside.ts'
import { constraintTriggerObjections, provenInbound } from '../table/constraint-triggers.ts'
import * as definitions from '../table/definitions.ts'
import { giveBack, setAside, type Leaving } from '../table/dependents.ts'
import { compareFacts, factsOf } from '../table/facts.ts'
import { objection, when } from '../language/objection.ts'
import type { ConversionSummary } from './partition.ts'
import { addForeignKeys, lostByDetaching, rename, validateForeignKeys, withUnproven } from '../table/shadow.ts'
import { buildUniqueIndex, plainColumns, usingIndex } from '../table/primary-key.ts'
import type { Facts, Objection, Plan, Step, SwapStep } from '../language/step.ts'

// The rollback: the history partition becomes the table again, under its old
// name and with its dependent objects. Possible while the other partitions
// are empty and none has been removed, for then the history holds all there is.

/** A partition beside the history. */
export interface OtherPartition {
  readonly name: TableName
  readonly empty: boolean
}

export interface RollbackSituation {
  readonly runId: string
  readonly conversion: ConversionSummary
  /** The facts that the conversion ended with. */
  readonly converted: Facts
  /** The partitioned table as it is now. */
  readonly current: TableModel
  readonly historyAttached: boolean
  readonly others: readonly OtherPartition[]
  /** Partitions that rotate has removed since. */
  readonly removed: readonly string[]
  readonly taken: ReadonlySet<string>
  readonly server: Pick<ServerModel, 'role' | 'superuser' | 'version'>
}

export interface RollbackPlan extends Plan {
  /** The index that is built for it, to be dropped when the roll-back is abandoned. */
  readonly index: TableName | null
}

/** Plans the return of a converted table to a plain one. Pure. */
export function planRollback(situation: RollbackSituation): RollbackPlan {
  const { runId, conversion, current, taken } = situation
  const objections = rollbackObjections(situation)
  const index = conversion.primaryKey === null ? null : freeCompanion(conversion.primaryKey.constraint, '_plain', taken)
  return {
    goal: `roll back run ${runId}: make ${display(current.name)} a plain table again`,
    table: current.name,
    evidence: [
      `all its rows are in ${display(conversion.history)}; the other ${situation.others.length} partitions are ${objections.length === 0 ? 'empty and are dropped' : 'looked at below'}`,
    ],
    dependents: [],
    objections,
    notes: [],
    steps: objections.length > 0 ? [] : rollbackSteps(situation, index),
    index: index === null ? null : { schema: current.name.schema, name: index },
  }
}

function rollbackObjections({
  conversion,
  converted,
  current,
  historyAttached,
  others,
  removed,
  server,
}: RollbackSituation): Objection[] {
  const name = display(current.name)
  const history = display(conversion.history)
  const written = others.filter(({ empty }) => !empty).map((other) => display(other.name))
  const changed = compareFacts(converted, factsOf(current)).map(({ fact }) => fact)
  return [
    ...constraintTriggerObjections(conversion.original, server.superuser, () => true),
    ...when(!historyAttached, () =>
      objection(
        'history-gone',
        `${history}, which held all rows at the time of the conversion, is no partition of ${name} any more`,
        'If a later run has split it, roll that one back first, then this one (ebb status lists them); otherwise there is nothing to roll back to.',
      ),
    ),
    ...when(removed.length > 0, () =>
      objection(
        'removed',
        `partitions have been removed since the conversion: ${removed.join(', ')}`,
        'What they held would be missing without a word; restore them first, or stay partitioned.',
      ),
    ),
    ...when(written.length > 0, () =>
      objection(
        'written',
        `rows have been written to other partitions: ${written.join(', ')}`,
        `Move them into ${history}’s range first, or stay partitioned.`,
      ),
    ),
    ...when(changed.length > 0, () =>
      objection(
        'changed',
        `${name} has been altered since the conversion: ${changed.join(', ')}`,
        'Undo these changes first; they would be lost.',
      ),
    ),
  ]
}

function rollbackSteps(situation: RollbackSituation, index: string | null): Step[] {
  const { conversion, current } = situation
  const { original } = conversion
  const key = original.indexes.find(({ primary }) => primary)
  const because = `the primary key goes back to ${original.constraints.find(({ type }) => type === 'primary key')?.definition ?? ''}`
  const lost = lostByDetaching(original, situation.server.version)
  return [
    ...orphanCheck([...keysOf(current, lost), ...keysOnto(current, provenInbound(current))]),
    ...(index === null || key === undefined
      ? []
      : [buildUniqueIndex(conversion.history, key, plainColumns(key), index, original.estimatedRows, because)]),
    swapBack(situation, index),
    ...validateForeignKeys([original.name], lost),
    ...provenInbound(original).map((inbound) => validateInbound(current.name, inbound)),
  ]
}

function swapBack({ conversion, current, others, taken, server }: RollbackSituation, index: string | null): SwapStep {
  const { original, history, aside } = conversion
  const gone = { schema: original.name.schema, name: freeCompanion(original.name.name, '_partitioned', taken) }
  const now = asideNames(current, null, new Set([...taken, gone.name]), '_partitioned')
  const lost = lostByDetaching(original, server.version)
  const from: Leaving = { table: current, place: gone, names: now, keepsForeignKeys: true }
  const foreignKeys = [...definitions.dropForeignKeys(original.name, lost), ...addForeignKeys([original.name], lost)]
  return {
    ...swapOf(current, now, []),
    key: 'swap-back',
    title: `swap back: ${display(history)} becomes ${display(current.name)}, the empty partitions are dropped`,
    because: 'it holds every row',
    statements: [
      rename(current.name, gone),
      ...setAside(from),
      sql`alter table ${quoted(gone)} detach partition ${quoted(history)}`.text,
      rename(history, original.name),
      ...primaryKeyBack(conversion, index),
      ...giveBack({ table: original, from, names: aside, parts: [], role: server.role, foreignKeys }),
      sql`drop table ${quoted(gone)}`.text,
    ],
    after: factsOf(withUnproven(original, lost)),
    partitions: [history, ...others.map(({ name }) => name)],
    mustBeEmpty: others.map(({ name }) => name),
  }
}

function primaryKeyBack({ original, primaryKey }: ConversionSummary, index: string | null): string[] {
  if (primaryKey === null || index === null) return []
  const { constraint: name } = primaryKey
  const constraint = original.constraints.find((one) => one.name === name)
  const model = original.indexes.find((one) => one.name === name)
  if (constraint === undefined || model === undefined) throw new Error(`no primary key ${name}`)
  return [
    sql`alter table ${quoted(original.name)} drop constraint ${ident(primaryKey.index)}, ${usingIndex(original, name, name, index)}`
      .text,
    ...definitions.constraintComment(original.name, constraint),
    ...definitions.keyIndex(original.name.schema, model),
    ...(model.replicaIdentity ? definitions.replicaIdentity(original.name, original, name) : []),
  ]
}
