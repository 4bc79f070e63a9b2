import type { MoveFacts } from '../../catalog/partitions/move-facts.ts'
import type { PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { companion, display, quoted } from '../../sql/names.ts'
import { ident, join, literal, raw, sql } from '../../sql/sql.ts'
import { objection, when } from '../language/objection.ts'
import type { Objection } from '../language/step.ts'

// Why partitions cannot be moved to another server. PostgreSQL refuses a foreign partition of a table with a unique index,
// foreign keys or constraint triggers: it could not enforce them there.

export function moveObjections(set: PartitionedTable, server: string, facts: MoveFacts | undefined): Objection[] {
  if (facts === undefined) throw new Error('what decides about moving partitions was not read')
  if (facts.wrapper !== 'postgres_fdw') return [noServer(server, facts)]
  return [
    ...when(!facts.usage, () =>
      objection(
        'move-usage',
        `this role may not use the foreign server ${server}`,
        sql`As its owner: grant usage on foreign server ${ident(server)} to …;`.text,
      ),
    ),
    ...when(!facts.isMapped, () =>
      objection('move-mapping', `this role has no user mapping on ${server}, so it cannot read there`, mapping(server)),
    ),
    ...when(facts.uniqueIndexes.length > 0, () => uniqueIndexes(set, facts)),
    ...when(set.references.length > 0, () => foreignKeys(set)),
    ...facts.constraintTriggers.map((name) =>
      objection(
        'move-trigger',
        `${display(set.name)} has the constraint trigger ${name}, which a foreign partition cannot have`,
        sql`Make it an ordinary trigger, or one of each partition: drop trigger ${ident(name)} on ${quoted(set.name)};`
          .text,
      ),
    ),
    ...when(!facts.isBounded, () => noTimeout(server)),
    ...when(facts.isMapped && facts.unmapped.length > 0, () => unmapped(set, server, facts.unmapped)),
  ]
}

function noServer(server: string, { wrapper, servers }: MoveFacts): Objection {
  const known = servers.length === 0 ? '' : ` There is: ${servers.join(', ')}.`
  return objection(
    'move-server',
    wrapper === null
      ? `there is no foreign server ${server} in this database`
      : `the foreign server ${server} is one of ${wrapper}, and partitions are moved by postgres_fdw`,
    `create extension if not exists postgres_fdw; create server ${ident(server).text} foreign data wrapper postgres_fdw options (host '…', dbname '…'); ${mapping(server)}${known}`,
  )
}

function mapping(server: string): string {
  return sql`create user mapping for current_user server ${ident(server)} options (user '…', password '…');`.text
}

/** A key of each partition instead, or the moved rows beside the table, in a view. */
function uniqueIndexes(set: PartitionedTable, { uniqueIndexes: indexes }: MoveFacts): Objection {
  const parent = quoted(set.name)
  const local = set.partitions.filter(({ kind }) => kind === 'table')
  const [some] = local
  const drops = indexes.map(({ name, constraint }) =>
    constraint === null
      ? sql`drop index ${ident(set.name.schema, name)};`
      : sql`alter table ${parent} drop constraint ${ident(name)};`,
  )
  const adds = indexes.map(({ constraint, tail }) =>
    constraint === null
      ? sql`create unique index on ${quoted(some?.name ?? set.name)} ${raw(tail)};`
      : sql`alter table ${quoted(some?.name ?? set.name)} add ${raw(constraint)};`,
  )
  const all = { ...set.name, name: companion(set.name.name, '_all') }
  return objection(
    'move-unique',
    `${display(set.name)} has ${indexes.map(({ name }) => name).join(', ')}, and PostgreSQL allows no foreign partition of a table with a primary key or unique index`,
    `Either keys of each partition, which are not checked across partitions, and which on conflict (…) of the table no longer finds: begin; ${join(drops, ' ').text} ${join(adds, ' ').text} (and so on for each of its ${local.length} partitions) commit; rotate gives it to new ones, too. ` +
      `Or leave the table as it is: rotate with --retire detach, move the detached tables yourself, and read both through a view: ` +
      sql`create view ${quoted(all)} as select * from ${parent} union all select * from …;`.text,
  )
}

function foreignKeys(set: PartitionedTable): Objection {
  return objection(
    'move-references',
    `${display(set.name)} has foreign keys onto ${set.references.map(display).join(', ')}, and PostgreSQL allows none of a foreign partition`,
    'Drop them, or make them keys of each partition: those are dropped when it is moved.',
  )
}

/** PostgreSQL 15 cannot even be told to stop waiting. */
function noTimeout(server: string): Objection {
  return {
    code: 'move-timeout',
    what: `the foreign server ${server} has no connect_timeout: while it does not answer, each query that needs it waits for minutes, or for ever, and up to PostgreSQL 15 cannot be cancelled`,
    fix: sql`As its owner: alter server ${ident(server)} options (add connect_timeout '5', add tcp_user_timeout '30000'); or, if it always answers: --accept move-timeout`
      .text,
    acceptable: true,
  }
}

/** Their queries would fail as soon as they reach the moved rows, so this is said before. */
function unmapped(set: PartitionedTable, server: string, roles: readonly string[]): Objection {
  const named = `${roles.slice(0, 3).join(', ')}${roles.length > 3 ? ` and ${roles.length - 3} more` : ''}`
  const [first = ''] = roles
  return {
    code: 'move-mappings',
    what: `${named} may use ${display(set.name)} and ${roles.length === 1 ? 'has' : 'have'} no user mapping on ${server}: their queries that are not limited to partitions here would fail`,
    fix: `${sql`create user mapping for ${ident(first)} server ${ident(server)} options (user ${literal(first)}, password '…');`.text} or one for public; or, if they ask for recent rows only: --accept move-mappings`,
    acceptable: true,
  }
}
