import type { Activity, LongTransaction } from '../../catalog/inspect-activity.ts'
import type { MapEntry } from '../../catalog/partitions/inspect-partitions.ts'
import type { Reference } from '../../catalog/references/inspect-references.ts'
import { citusOf, type Manager } from '../../catalog/managers.ts'
import type { KeyModel } from '../../catalog/table/key-model.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import type { Privileges } from '../../catalog/situation.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import { flavourOf, type Looks } from '../../text/flavours.ts'
import { display } from '../../sql/names.ts'
import { ident } from '../../sql/sql.ts'
import { indexCure } from '../references/cascade-cost.ts'
import { citusObjections } from '../table/objections/citus.ts'
import { managerObjections } from '../table/objections/manager.ts'
import { privilegeObjections } from '../table/objections/privilege.ts'
import { serverNotes, serverObjections } from '../table/objections/server.ts'
import { kindObjection, tableObjections } from '../table/objections/table.ts'
import { showBytes, showCount, showDuration } from '../../text/units.ts'

/** A risk and its fix; `fix` is empty if there is nothing to do. */
export interface Risk {
  readonly what: string
  readonly fix: string
}

/** The inputs for risks. */
export interface RiskSituation {
  readonly server: ServerModel
  readonly looks: Looks
  readonly journalSchema: string
  readonly table: TableModel
  readonly privileges: Privileges
  readonly rowsReadable: boolean
  readonly keys: readonly KeyModel[]
  readonly activity: Activity
  readonly references: readonly Reference[]
  readonly longTransactions: readonly LongTransaction[]
  readonly partitions: readonly MapEntry[]
  readonly managers: readonly Manager[]
}

/** The risks of a table, by itself or when it is converted. Pure. */
export function risksOf(situation: RiskSituation): Risk[] {
  const { server, journalSchema } = situation
  return [
    ...serverObjections(server, journalSchema).map(asRisk),
    ...readingRisks(situation),
    ...conversionRisks(situation),
    ...idRisks(situation),
    ...situation.references.filter(({ indexed }) => !indexed).map((reference) => unindexed(situation.table, reference)),
    ...statisticsRisks(situation),
    ...situation.longTransactions.map((transaction) => longTransaction(situation.table, transaction)),
    ...partitionRisks(situation),
    ...serverNotes(server).map((what) => ({ what, fix: '' })),
    ...flavourRisks(situation),
  ]
}

/** What is known of a service, from its documentation. */
function flavourRisks({ looks }: RiskSituation): Risk[] {
  const flavour = flavourOf(looks)
  if (flavour === null) return []
  return flavour.differences.map((what) => ({
    what: `this looks like ${flavour.name}: ${what} (from its documentation, not tried)`,
    fix: '',
  }))
}

function readingRisks({ table, rowsReadable, server: { role } }: RiskSituation): Risk[] {
  if (rowsReadable) return []
  const name = ident(table.name.schema, table.name.name).text
  return [
    {
      what: `${role} may not see all rows, so their ranges are unknown`,
      fix: `grant select on ${name} to ${ident(role).text}; or, where a policy hides some, connect as the owner.`,
    },
  ]
}

function conversionRisks({ table, privileges, server, managers }: RiskSituation): Risk[] {
  const managed = managerObjections(table.name, managers).map(asRisk)
  // Nothing that is said of an ordinary table fits then.
  if (managers.some(({ by }) => by === 'TimescaleDB')) return managed
  // Already partitioned: objections to a conversion do not apply.
  if (table.kind === 'partitioned table') return managed
  const citus = citusOf(managers)
  if (citus !== undefined) return [...managed, ...citusObjections('partition', table.name, citus).map(asRisk)]
  const kind = kindObjection(table)
  if (kind !== undefined) return [asRisk(kind)]
  const others = [...privilegeObjections(table, privileges, server.role), ...tableObjections(table, server)]
  return [...managed, ...others.map(asRisk)]
}

const LARGEST_INTEGER = 2_147_483_647
const WORTH_A_WORD = 0.7

function idRisks({ table, keys }: RiskSituation): Risk[] {
  return keys
    .filter(({ type, max }) => type === 'integer' && max !== null && Number(max) > WORTH_A_WORD * LARGEST_INTEGER)
    .map(({ column, max }) => ({
      what: `${column} has reached ${showCount(Number(max))}, ${Math.floor((100 * Number(max)) / LARGEST_INTEGER)} % of what an integer can hold`,
      fix: `Change it to bigint before it overflows; after that, inserts into ${display(table.name)} fail.`,
    }))
}

/** A table this small is scanned in no time. */
const FEW_ROWS = 1_000

function unindexed(table: TableModel, { name, table: other, tableKind, columns, estimatedRows }: Reference): Risk {
  const rows = estimatedRows === null ? '' : ` (${showCount(estimatedRows)} rows)`
  const small = estimatedRows !== null && estimatedRows < FEW_ROWS ? '; this is harmless while the table is small' : ''
  return {
    what: `no index of ${display(other)} begins with the columns of foreign key ${name} (${columns.join(', ')}): each row deleted from ${display(table.name)} scans all of it${rows}${small}`,
    fix: indexCure({ partitioned: tableKind === 'partitioned table', name: other }, columns),
  }
}

const DEAD_ROWS = 10_000
const DEAD_SHARE = 0.2

function statisticsRisks({ table, activity }: RiskSituation): Risk[] {
  const name = ident(table.name.schema, table.name.name).text
  if (table.kind !== 'table' && table.kind !== 'partitioned table') return []
  const { liveRows, deadRows } = activity
  return [
    ...(table.estimatedRows === null
      ? [
          {
            what: 'it was never analyzed, so the planner has no statistics on rows and key ranges',
            fix: `analyze ${name};`,
          },
        ]
      : []),
    ...(deadRows > DEAD_ROWS && deadRows > DEAD_SHARE * liveRows
      ? [
          {
            what: `${showCount(deadRows)} dead rows, ${showCount(liveRows)} live${activity.vacuumedAt === null ? '; it was never vacuumed' : ''}`,
            fix: `vacuum (analyze) ${name}; and let autovacuum run more often (autovacuum_vacuum_scale_factor).`,
          },
        ]
      : []),
  ]
}

function longTransaction(table: TableModel, { pid, who, state, seconds, onTable }: LongTransaction): Risk {
  const what = pid === null ? `prepared transaction ${who}` : `pid ${pid} (${who}), ${state},`
  return {
    what: `${what} has been open for ${showDuration(seconds)}${onTable ? ` and holds a lock on ${display(table.name)}` : ''}: index builds and locks wait for it`,
    fix: pid === null ? 'End it with commit prepared or rollback prepared.' : 'Wait until it has ended.',
  }
}

function partitionRisks({ table, partitions }: RiskSituation): Risk[] {
  const name = display(table.name)
  return partitions.flatMap(({ name: partition, bounds, state, bytes }) => {
    if (state === 'detaching')
      return [
        {
          what: `${display(partition)} has a pending detach: its rows are not visible through ${name}`,
          fix: `ebb rotate ${name} --execute finishes it.`,
        },
      ]
    if (bounds === 'DEFAULT')
      return [
        {
          what: `there is a DEFAULT partition, ${display(partition)} (${bytes === null ? 'size unknown' : showBytes(bytes)}): no partition can be detached concurrently, and adding a partition has to scan it`,
          fix: 'Move its rows to regular partitions, and drop it.',
        },
      ]
    return []
  })
}

function asRisk({ what, fix: fix }: Risk): Risk {
  return { what, fix: fix }
}
