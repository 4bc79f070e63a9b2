import type { RetiredTable } from '../engine/runs/retired.ts'
import type { RunStatusLine, StatusReport } from '../engine/runs/runs.ts'
import { displayInterval } from '../grid/interval.ts'
import type { RegisteredSet } from '../journal/sets.ts'
import { actionText } from '../plan/purge/action-sql.ts'
import type { SetPolicy, Width } from '../plan/language/policy.ts'
import { showBytes, showRows } from '../text/units.ts'
import { display } from '../sql/names.ts'
import { columns } from '../text/columns.ts'
import { indented } from './partitioned.ts'

/** Runs, former tables and sets, a line each. */
export function describeStatus({ runs, sets }: StatusReport, former: readonly RetiredTable[]): string[] {
  if (runs.length === 0 && sets.length === 0) return ['Ebb has not worked in this database yet.']
  return [
    ...(runs.length === 0 ? ['No runs in the last 30 days.'] : ['Runs', ...indented(describeRuns(runs))]),
    ...(former.length === 0 ? [] : ['', 'Former tables that are still there', ...indented(describeFormer(former))]),
    ...(sets.length === 0 ? [] : ['', 'Sets that rotate keeps', ...indented(columns(sets.map(describeSet)))]),
  ]
}

function describeRuns(runs: readonly RunStatusLine[]): string[] {
  const lines = columns(runs.map((run) => [run.id, `${run.command} ${display(run.table)}`, ...describeState(run)]))
  return runs.flatMap((run, i) => [lines[i] ?? '', ...whatToDo(run)])
}

function describeState(run: RunStatusLine): string[] {
  const { status, startedAt, endedAt, stepsDone, steps, atWork } = run
  return status === 'running'
    ? [
        `${atWork ? 'at work' : 'unfinished'}, ${stepsDone} of ${steps} steps done${describeRows(run)}`,
        `since ${minute(startedAt)}`,
      ]
    : [`${status}${describeRows(run)}`, minute(endedAt ?? startedAt)]
}

function describeRows({ command, rows }: RunStatusLine): string {
  return rows === null ? '' : `, ${showRows(rows)} ${actionText(command)?.done ?? ''}`
}

function whatToDo({ id, command, table, status, lastError, refusesFrom, atWork }: RunStatusLine): string[] {
  if (status !== 'running' || atWork) return []
  return [
    ...(lastError === null ? [] : [`    ${lastError.startsWith('stopped') ? '' : 'stopped by: '}${lastError}`]),
    ...(refusesFrom === null ? [] : [`    until then rows of ${display(table)} from ${refusesFrom} on are refused`]),
    `    go on: ebb resume ${id} --execute    ${command === 'purge' || command === 'mark' ? 'leave it at that' : 'undo'}: ebb abandon ${id} --execute`,
  ]
}

function describeFormer(former: readonly RetiredTable[]): string[] {
  const rows = former.map(({ runId, retired: { name, bytes }, since, goesAt, due }) => [
    display(name),
    showBytes(bytes),
    `since ${minute(since)}${describeEnd(goesAt, due)}`,
    `let it go: ebb retire ${runId}`,
    `go back: ebb rollback ${runId}`,
  ])
  const all = former.length === 1 ? [] : ['let all of them go: ebb retire --all']
  return [...columns(rows, [1]), ...all]
}

function describeEnd(goesAt: Date | null, due: boolean): string {
  if (goesAt === null) return ''
  return due ? ', goes with the next ebb rotate' : `, goes by ebb rotate from ${minute(goesAt)} on`
}

function describeSet({ table, policy }: RegisteredSet): string[] {
  return [display(table), describePolicy(policy)]
}

/** `by created_at, 1 month wide (UTC), 3 ahead, 90 days kept`. */
function describePolicy({ column, every, expireBy, keep, premake, timezone }: SetPolicy): string {
  const kept = keep === null ? 'nothing is removed' : `${displayInterval(keep)} kept`
  const expiry = expireBy === null ? '' : ` by ${expireBy}`
  return `by ${column}, ${showWidth(every)} wide (${timezone}), ${premake} ahead, ${kept}${expiry}`
}

function showWidth(every: Width): string {
  return every.kind === 'ids' ? `${every.ids} ids` : displayInterval(every.interval)
}

function minute(at: Date): string {
  return `${at.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
