import type { EventTrigger } from '../../../catalog/event-triggers.ts'
import type { Manager } from '../../../catalog/managers.ts'
import { display, type TableName } from '../../../sql/names.ts'
import { ident, literal } from '../../../sql/sql.ts'
import { shellWord } from '../../../text/shell-word.ts'
import { objection } from '../../language/objection.ts'
import type { Objection } from '../../language/step.ts'

/** Somebody else creates and drops partitions of the table: two of them stand in each other's way. */
export function managerObjections(table: TableName, managers: readonly Manager[]): Objection[] {
  const timescale = managers.find(({ by }) => by === 'TimescaleDB')
  if (timescale !== undefined) return [timescaleObjection(table, timescale)]
  // What a command does on a table of Citus, it says itself (citus.ts).
  return managers
    .filter(({ by }) => by !== 'Citus')
    .map((manager) => {
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
  if (by === 'pg_cron') return 'Unschedule the job first (select cron.unschedule(…);).'
  const name = literal(`${table.schema}.${table.name}`).text
  const keep = retention === null ? '' : ` --keep ${shellWord(retention)}`
  return `To take it over, end its maintenance (delete from ${ident(schema, 'part_config').text} where parent_table = ${name};), then: ebb rotate ${display(table)}${keep}.`
}

/** Its tables cannot become anything else, nor can Ebb tell where their rows are. */
function timescaleObjection(table: TableName, { by, says, whole = display(table) }: Manager): Objection {
  const argument = literal(whole).text
  return objection(
    `managed:${by}`,
    `${display(table)} is managed by ${by}, as ${says}: it decides in which tables the rows are`,
    `Its retention is ${by}’s: select drop_chunks(${argument}, older_than => interval '90 days'); once, or select add_retention_policy(${argument}, drop_after => interval '90 days'); for good (Community edition). Single rows of a hypertable: ebb purge.`,
  )
}

/** What fires for each command that changes the catalogue. */
export function eventTriggerNotes(triggers: readonly EventTrigger[]): string[] {
  return triggers.map(
    ({ name, event, tags, function: called }) =>
      `event trigger ${name} fires on ${event}${tags === null ? '' : ` of ${tags.join(', ')}`} (${called}): before the first step a table is created and dropped again in a transaction that is rolled back, to see what it does`,
  )
}
