import type { EventTrigger } from '../../../catalog/event-triggers.ts'
import type { Manager } from '../../../catalog/managers.ts'
import { display, type TableName } from '../../../sql/names.ts'
import { ident, literal } from '../../../sql/sql.ts'
import { shellWord } from '../../../text/shell-word.ts'
import type { Objection } from '../../language/step.ts'

/** Somebody else creates and drops partitions of the table: two of them stand in each other's way. */
export function managerObjections(table: TableName, managers: readonly Manager[]): Objection[] {
  return managers.map((manager) => {
    const code = `managed:${manager.by}`
    return {
      code,
      what: `${display(table)} is managed by ${manager.by}: ${manager.says}`,
      fix: `${wayOut(table, manager)} Or go ahead beside it: --accept ${shellWord(code)}`,
      acceptable: true,
    }
  })
}

function wayOut(table: TableName, { by, schema = '', retention = null }: Manager): string {
  if (by === 'TimescaleDB') return 'Leave it to TimescaleDB (add_retention_policy, drop_chunks).'
  if (by === 'pg_cron') return 'Unschedule the job first (select cron.unschedule(…);).'
  const name = literal(`${table.schema}.${table.name}`).text
  const keep = retention === null ? '' : ` --keep ${shellWord(retention)}`
  return `To take it over, end its maintenance (delete from ${ident(schema, 'part_config').text} where parent_table = ${name};), then: ebb rotate ${display(table)}${keep}.`
}

/** What fires for each command that changes the catalogue. */
export function eventTriggerNotes(triggers: readonly EventTrigger[]): string[] {
  return triggers.map(
    ({ name, event, tags, function: called }) =>
      `event trigger ${name} fires on ${event}${tags === null ? '' : ` of ${tags.join(', ')}`} (${called}): before the first step a table is created and dropped again in a transaction that is rolled back, to see what it does`,
  )
}
