import type { MigrationCall, MigrationRecord } from '../journal/migration-files.ts'
import { columns } from '../text/columns.ts'
import { showElapsed } from '../text/elapsed.ts'
import type { MigrationsReport, MigrationsResult, MigrationStatus } from './migrate.ts'

/** How far each migration is. */
export function describeMigrations({ migrations, running }: MigrationsReport): string[] {
  if (migrations.length === 0) return ['There are no migrations yet: ebb migrate create <name>.']
  const lines = columns(migrations.map((one) => [one.name, describeState(one)]))
  return [
    ...migrations.flatMap(({ record, state }, i) => [
      lines[i] ?? '',
      ...(state === 'unfinished' && record !== null ? describeUnfinished(record) : []),
    ]),
    ...(running === null ? [] : ['', `${running} is running migrations now.`]),
  ]
}

function describeState({ state, record, file }: MigrationStatus): string {
  if (record === null) return file?.kind === 'sql' ? 'pending (SQL)' : 'pending'
  if (state === 'missing') return 'begun or applied, but its file is missing'
  if (state === 'applied') return `applied ${minute(record.appliedAt ?? record.begunAt)}`
  return record.direction === 'up' ? `unfinished since ${minute(record.begunAt)}` : 'undone in part'
}

function describeUnfinished({ lastError, calls, direction }: MigrationRecord): string[] {
  const way =
    direction === 'up'
      ? 'ebb migrate up --execute    take back: ebb migrate down --execute'
      : 'ebb migrate down --execute'
  return [
    ...calls.map((call) => `    ${call.command} ${call.table}: ${describeCall(call)}`),
    ...(lastError === null ? [] : [`    stopped by: ${lastError}`]),
    `    finish: ${way}`,
  ]
}

function describeCall({ status, ended, runId }: MigrationCall): string {
  if (status === null) return ended ? 'done' : 'begun'
  return `${status === 'running' ? 'unfinished' : status} (run ${runId})`
}

/** What would be done. */
export function describePending(migrations: readonly MigrationStatus[], command: string): string[] {
  if (migrations.length === 0) return ['Nothing to do: no migration is pending.']
  return [
    `${migrations.length === 1 ? 'This migration' : `These ${migrations.length} migrations`} would be run:`,
    ...columns(migrations.map((one) => [`  ${one.name}`, describeState(one)])),
    '',
    `Nothing has been changed. To run ${migrations.length === 1 ? 'it' : 'them'}: ${command}`,
  ]
}

export function describeUndoing(last: MigrationStatus | null, command: string): string[] {
  if (last === null) return ['Nothing to do: no migration has been applied.']
  return [
    'This migration would be undone:',
    `  ${last.name}  ${describeState(last)}`,
    '',
    `Nothing has been changed. To undo it: ${command}`,
  ]
}

export function describeMigrated({ direction, done }: MigrationsResult): string[] {
  if (done.length === 0) return ['Nothing to do.']
  const lines = done.map(({ name, milliseconds }) => [
    `${direction === 'up' ? 'applied' : 'undone'} ${name}`,
    `in ${showElapsed(milliseconds)}`,
  ])
  return columns(lines)
}

function minute(at: Date): string {
  return `${at.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
