import type { CitusTable } from '../../../catalog/citus.ts'
import { display, quoted, type TableName } from '../../../sql/names.ts'
import { literal } from '../../../sql/sql.ts'
import { shellWord } from '../../../text/shell-word.ts'
import { objection } from '../../language/objection.ts'
import type { Objection } from '../../language/step.ts'

// What Ebb does on a table that Citus stores, and what it leaves to Citus. A command that is not named here is refused:
// files, addresses of rows, triggers and locks of the table that PostgreSQL knows are not where the rows are.

type Kind = CitusTable['kind']

/** The kinds on which a command works: what it does is done on all nodes. */
const WORKS: Readonly<Record<string, readonly Kind[]>> = {
  purge: ['distributed', 'reference', 'managed local'],
  mark: ['distributed', 'reference', 'managed local'],
  rotate: ['distributed', 'managed local'],
  view: ['distributed', 'reference', 'managed local'],
  archive: ['distributed', 'reference', 'managed local'],
}

/** A shard, or a node that is not the coordinator: for every command. */
function citusPlaceObjections(table: TableName, { kind, of, onCoordinator }: CitusTable): Objection[] {
  const name = display(table)
  if (kind === 'shard') {
    const whole = of === null ? 'the table that it is a shard of' : display(of)
    return [
      objection(
        'citus-shard',
        `${name} is a shard of ${whole}, which Citus stores: what is done to it alone is not done to its copies, nor to where it is moved`,
        `Name the table itself, on the coordinator: ${whole}`,
      ),
    ]
  }
  if (onCoordinator || kind === 'plain local') return []
  return [
    objection(
      'citus-worker',
      `this server is a worker of Citus, and ${name} can be changed on its coordinator only`,
      'Connect to the coordinator (select nodename, nodeport from pg_dist_node where groupid = 0;).',
    ),
  ]
}

/** Why a command does not work on a table that Citus stores, with Citus' own way. Pure. */
export function citusObjections(command: string, table: TableName, citus: CitusTable): Objection[] {
  const place = citusPlaceObjections(table, citus)
  if (place.length > 0 || citus.kind === 'plain local') return place
  if (WORKS[command]?.includes(citus.kind) === true) return []
  return [
    objection(
      'citus',
      `${display(table)} is ${whatItIs(citus)}, and ebb ${command} ${WHY[command] ?? OTHERWISE}`,
      wayOut(command, table, citus),
    ),
  ]
}

function whatItIs({ kind, distributionColumn }: CitusTable): string {
  if (kind === 'reference') return 'a reference table of Citus'
  if (kind === 'managed local') return 'a local table that Citus manages'
  return `distributed by Citus${distributionColumn === null ? '' : ` by ${distributionColumn}`}`
}

const SWAPS = 'exchanges tables by their names, of which Citus’ catalogue would know nothing'
const OTHERWISE = 'does not know where its rows are'
const WHY: Readonly<Record<string, string>> = {
  partition: SWAPS,
  'partition-copy': SWAPS,
  split: SWAPS,
  rebuild: SWAPS,
  rollback: SWAPS,
  advise: 'has no ways to compare there: it cannot be partitioned or rebuilt in its place',
}

/** What gets there with Citus' own functions. */
function wayOut(command: string, table: TableName, citus: CitusTable): string {
  const name = literal(quoted(table).text).text
  const bare = `select undistribute_table(${name});`
  const again = distributing(name, citus)
  switch (command) {
    case 'partition':
    case 'partition-copy':
    case 'split':
      return `If its rows fit on the coordinator: ${bare} then ebb ${command === 'split' ? 'split' : 'partition'} ${shellWord(display(table))} …, then ${again} Rows are copied to the coordinator and back, and writers wait for both; where foreign keys connect it with others, Citus says how to take them along.`
    case 'advise':
    case 'rebuild':
      return `Delete the rows that are not kept: ebb purge ${shellWord(display(table))} --where …; then have the space back: vacuum (full, analyze) ${quoted(table).text}; which locks the table while it is rewritten.`
    default:
      return `If its rows fit on the coordinator: ${bare} then the same command, then ${again}`
  }
}

function distributing(name: string, { kind, distributionColumn }: CitusTable): string {
  if (kind === 'reference') return `select create_reference_table(${name}); (of a table that is not partitioned)`
  if (kind === 'managed local') return `select citus_add_local_table_to_metadata(${name});`
  const column = distributionColumn === null ? 'null' : literal(distributionColumn).text
  return `select create_distributed_table(${name}, ${column}); and truncate_local_data_after_distributing_table of it and its partitions, or what was copied stays on the coordinator’s disk.`
}
