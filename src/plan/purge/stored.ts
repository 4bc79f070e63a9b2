import type { LeafModel } from '../../catalog/partitions/purge-leaves.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { shellWord } from '../../text/shell-word.ts'
import { objection, when } from '../language/objection.ts'
import type { Objection } from '../language/step.ts'
import type { WalkedReference } from '../references/graph.ts'
import type { PurgeRequest } from './request.ts'
import type { PurgeSituation } from './situation.ts'
import { isListable } from './stored-list.ts'
import { isFollowedThere } from './stored-dependents.ts'
import { uniqueKey } from './walk.ts'

// What a purge does not do on tables that Citus stores, whose rows one statement reaches on all nodes.

export function isStored({ stored }: LeafModel): boolean {
  return stored !== undefined
}

/** Why rows of such a table cannot be deleted as they were asked to be. */
export function storedObjections(
  { table, leaves, cascade, archiving }: Pick<PurgeSituation, 'table' | 'leaves' | 'cascade' | 'archiving'>,
  { archive, orderBy, cascade: follows }: Pick<PurgeRequest, 'archive' | 'orderBy' | 'cascade'>,
): Objection[] {
  if (!leaves.some(isStored)) return []
  return [
    ...when(archive !== undefined && !isListable(archiving?.stored), () => archiveObjection(table.name)),
    ...when(orderBy !== null, () =>
      objection(
        'citus-order-by',
        `each node has rows of ${display(table.name)} in an order of its own`,
        'Omit --order-by: the same blocks of all shards are taken at once.',
      ),
    ),
    ...cascade.walked.flatMap((reference) =>
      follows && canFollow(leaves, archive) && isFollowedThere(reference)
        ? []
        : referenceObjection(table.name, reference, follows),
    ),
    ...keyObjections(leaves),
  ]
}

/** Copies of a reference table are referred to from everywhere; of rows that are archived, those that go with them would have to be listed. */
function canFollow(leaves: readonly LeafModel[], archive: PurgeRequest['archive']): boolean {
  return archive === undefined && leaves.every(({ stored }) => stored !== 'copies')
}

/** An address is that of another row in each copy of a reference table. */
export function keyObjections(leaves: readonly LeafModel[]): Objection[] {
  return leaves
    .filter((leaf) => leaf.stored === 'copies' && uniqueKey(leaf) === undefined)
    .map(({ name }) =>
      objection(
        'citus-key',
        `${display(name)} is a reference table without a primary key, or a unique index over columns that are not null: its rows are at other addresses on each node`,
        `Give it one: alter table ${quoted(name).text} add primary key (…); or delete the rows with one statement of SQL.`,
      ),
    )
}

/** Citus does not send a delete with such a condition to its nodes. */
export function conditionObjection(table: TableName, reason: string): Objection {
  return objection(
    'citus-condition',
    `Citus refuses to delete by this condition from all shards of ${display(table)}: ${reason}`,
    `Write it with columns on one side and constants on the other (at >= '2026-01-02' and at < '2026-01-03', not at::date = '2026-01-02'), and without subqueries on tables that are not co-located. Groups without activity cannot be chosen.`,
  )
}

/** The keys of a candidate set are on the coordinator, and the rows are not. */
export function candidatesObjection(table: TableName): Objection {
  return objection(
    'citus-candidates',
    `${display(table)} is stored by Citus, and a candidate set is of a table whose rows are on this server`,
    `Mark the rows instead: ebb mark ${display(table)} --where … --set <column>; then ebb purge ${display(table)} --marked <column>.`,
  )
}

function archiveObjection(table: TableName): Objection {
  return objection(
    'citus-archive',
    `${display(table)} is one shard of Citus without a distribution column, in which it cannot list the rows that are archived`,
    `Archive them first, when nobody writes to them: ebb archive ${shellWord(display(table))} --where …; then purge with --no-archive and the same condition, with times instead of now().`,
  )
}

/** Rows that refer to those of the table are on other nodes, or in shards that no batch looks into. */
function referenceObjection(table: TableName, { reference, from }: WalkedReference, follows: boolean): Objection {
  const code = `citus-reference:${display(from.name)}.${reference.name}`
  const what = `${display(from.name)}.${reference.name} refers to ${display(table)}, which Citus stores, and a purge does not look there`
  if (follows)
    return objection(
      code,
      what,
      `Purge ${display(from.name)} of those rows first; then the same command without --cascade.`,
    )
  if (reference.onDelete !== 'no action' && reference.onDelete !== 'restrict')
    return objection(
      code,
      `${what}: rows of it would be ${reference.onDelete === 'cascade' ? 'deleted' : 'changed'}, uncounted`,
      `Purge ${display(from.name)} of those rows first, then drop the constraint for the duration, and add it again with on delete no action.`,
    )
  return {
    code,
    what,
    fix: `Purge ${display(from.name)} of the rows that refer to these first; then pass --accept ${shellWord(code)}: rows that are still referred to are refused by PostgreSQL, and stay.`,
    acceptable: true,
  }
}

/** What else has to be known. */
export function storedNotes(leaves: readonly LeafModel[]): string[] {
  if (!leaves.some(isStored)) return []
  return [
    'each batch is one statement for all nodes, or a few where rows are archived or refer to others, and commits by two-phase commit with its entry in the journal; updates and deletes of others that concern all shards wait for it',
    'locked rows cannot be skipped by Citus: their range is left and halved until the rows around them have gone',
  ]
}
