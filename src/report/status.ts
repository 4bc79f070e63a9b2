import { describeCitus } from '../catalog/citus.ts'
import type { RetiredTable } from '../engine/runs/retired.ts'
import type { ArchiveStatus, DetachedPartition, RunStatusLine, SetStatus, StatusReport } from '../engine/runs/status.ts'
import type { Runway } from '../catalog/partitions/runway.ts'
import { describeLeftover, type Leftover } from '../plan/copy/leftovers.ts'
import { heldText, type Hold } from '../plan/language/hold.ts'
import { actionText } from '../plan/purge/action-sql.ts'
import { describeUnplanned } from '../plan/rotate/unplanned-rows.ts'
import { describePolicy } from '../plan/rotate/policy.ts'
import { showBytes, showRows } from '../text/units.ts'
import { display, type TableName } from '../sql/names.ts'
import { columns } from '../text/columns.ts'
import { indented } from './partitioned.ts'

/** Runs, retired tables and the tables managed by rotate, one line each. */
export function describeStatus(
  { runs, sets, holds, detached, leftovers, archives }: StatusReport,
  retired: readonly RetiredTable[],
  schema: string,
): string[] {
  if ([runs, sets, holds, detached, leftovers, archives].every(({ length }) => length === 0))
    return ['There are no runs in this database yet.']
  return [
    ...(runs.length === 0 ? ['No runs in the last 30 days.'] : ['Runs', ...indented(describeRuns(runs))]),
    ...(retired.length === 0 ? [] : ['', 'Retired tables', ...indented(describeRetired(retired))]),
    ...(detached.length === 0
      ? []
      : ['', 'Detached partitions', ...indented(columns(detached.map(describeDetached), [1]))]),
    ...(archives.length === 0 ? [] : ['', 'Unfinished archives', ...indented(columns(archives.map(describeArchive)))]),
    ...(holds.length === 0 ? [] : ['', 'On hold', ...indented(columns(holds.map(describeHold)))]),
    ...(sets.length === 0 ? [] : ['', 'Tables managed by rotate', ...indented(describeSets(sets))]),
    ...(leftovers.length === 0 ? [] : ['', 'Left behind', ...indented(describeLeftovers(leftovers, schema))]),
  ]
}

function describeDetached({ table, partition, bytes, detachedAt, method, goesAt, kept }: DetachedPartition): string[] {
  const fate = method === 'drop' ? 'dropped' : 'truncated and attached again'
  const goes = goesAt === null ? `${fate} by the next ebb rotate` : `${fate} by ebb rotate from ${minute(goesAt)} on`
  return [
    display(partition),
    showBytes(bytes),
    `of ${display(table)} until ${minute(detachedAt)}`,
    kept === null ? goes : `not ${fate}: it was ${kept === 'renamed' ? 'renamed' : 'written to since'}`,
    `attach it again: ebb reattach ${display(partition)}`,
  ]
}

function describeArchive({ id, runId, command, table, store, begunAt, hasReceipt }: ArchiveStatus): string[] {
  const ofRetired = hasReceipt && runId !== null && ['rebuild', 'split', 'partition'].includes(command)
  return [
    id,
    `in ${store}`,
    hasReceipt ? 'without its removal document' : 'without a receipt',
    `since ${minute(begunAt)}`,
    `finished by ${ofRetired ? `ebb retire ${runId}` : `the next ebb ${command} of ${display(table)}`}`,
  ]
}

function describeHold(hold: Hold): string[] {
  return [display(hold.table), hold.bounds ?? '', heldText(hold)]
}

function describeRuns(runs: readonly RunStatusLine[]): string[] {
  const lines = columns(runs.map((run) => [run.id, `${run.command} ${display(run.table)}`, ...describeState(run)]))
  return runs.flatMap((run, i) => [lines[i] ?? '', ...whatToDo(run)])
}

function describeState(run: RunStatusLine): string[] {
  const { status, startedAt, endedAt, stepsDone, steps, atWork } = run
  return status === 'running'
    ? [
        `${atWork ? 'running' : 'unfinished'}, ${stepsDone} of ${steps} steps done${describeRows(run)}`,
        `since ${minute(startedAt)}`,
      ]
    : [`${status}${describeRows(run)}`, minute(endedAt ?? startedAt)]
}

function describeRows({ command, rows }: RunStatusLine): string {
  return rows === null ? '' : `, ${showRows(rows)} ${actionText(command)?.done ?? ''}`
}

function whatToDo(run: RunStatusLine): string[] {
  const { id, command, table, status, lastError, refusesFrom, helped, atWork, swapped } = run
  if (status !== 'running' || atWork) return []
  return [
    ...(lastError === null ? [] : [`    ${lastError.startsWith('stopped') ? '' : 'stopped by: '}${lastError}`]),
    ...(refusesFrom === null ? [] : [`    until then ${display(table)} rejects rows from ${refusesFrom} on`]),
    ...(helped.length === 0
      ? []
      : [`    until then ${helped.map(display).join(', ')} may have a temporary index, which costs every write`]),
    `    resume: ebb resume ${id} --execute    ${swapped || command === 'purge' || command === 'mark' ? 'stop here' : 'undo'}: ebb abandon ${id} --execute`,
  ]
}

function describeRetired(tables: readonly RetiredTable[]): string[] {
  const rows = tables.map(({ runId, table, retired, recorded, renamed, restored, archive, since, goesAt, due }) => [
    retired === null
      ? `none: dropped${restored ? ', or renamed before the dump' : ''}; changes of ${display(table)} are still captured`
      : display(retired.name),
    retired === null ? '' : showBytes(retired.bytes),
    `since ${minute(since)}${renamed ? `, was ${display(recorded)}` : describeEnd(goesAt, due)}`,
    describeLeftOut(archive),
    `${retired === null ? 'stop' : 'drop'}: ebb retire ${runId}`,
    retired === null ? '' : `roll back: ebb rollback ${runId}`,
  ])
  const ofAll = tables.filter(({ renamed }) => !renamed)
  const all = ofAll.length === tables.length ? 'drop all of them' : 'drop all that were not renamed'
  return [...columns(rows, [1]), ...(ofAll.length < 2 ? [] : [`${all}: ebb retire --all`])]
}

/** What `retire --all` leaves, for the user who renamed it may want to keep it. */
export function describeRenamed({ runId, recorded, retired }: RetiredTable): string {
  const now = retired === null ? 'it' : `${display(retired.name)} (${showBytes(retired.bytes)})`
  return `${now} is the retired table ${display(recorded)} of run ${runId}, renamed or moved since: --all leaves it; to drop it: ebb retire ${runId} --execute`
}

function describeLeftOut(archive: RetiredTable['archive']): string {
  if (archive === null) return ''
  return archive.receipt === null ? `rows left out are archived first, in ${archive.to}` : 'rows left out are archived'
}

function describeEnd(goesAt: Date | null, due: boolean): string {
  if (goesAt === null) return ''
  return due ? ', dropped by the next ebb rotate' : `, dropped by ebb rotate from ${minute(goesAt)} on`
}

function describeLeftovers(leftovers: readonly Leftover[], schema: string): string[] {
  return [
    ...leftovers.map((one) => describeLeftover(schema, one)),
    'remove them, and leave the tables alone: ebb abandon --leftovers --execute',
  ]
}

function describeSets(sets: readonly SetStatus[]): string[] {
  const lines = columns(sets.map(describeSet))
  return sets.flatMap(({ unplanned, citus }, i) => [
    lines[i] ?? '',
    ...(citus === null ? [] : indented([`stored by Citus: ${describeCitus(citus)}`])),
    ...(unplanned === null ? [] : indented([describeUnplanned(unplanned)])),
  ])
}

function describeSet({ table, renamedTo, policy, runway, rotatedAt }: SetStatus): string[] {
  return [
    display(table),
    runway === null ? missing(renamedTo) : describeRunway(runway),
    rotatedAt === null ? 'never rotated' : `rotated ${minute(rotatedAt)}`,
    describePolicy(policy),
  ]
}

function missing(renamedTo: TableName | null): string {
  return renamedTo === null ? 'no longer exists' : `was renamed to ${display(renamedTo)}`
}

function describeRunway(runway: Runway): string {
  if (runway.state === 'missing') return 'no partition for new rows'
  return runway.state === 'endless' ? 'partitions without end' : `partitions until ${runway.until}`
}

function minute(at: Date): string {
  return `${at.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
