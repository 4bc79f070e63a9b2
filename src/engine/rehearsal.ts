import { readEventTriggers } from '../catalog/event-triggers.ts'
import { readPresentTable } from '../catalog/table/read-table.ts'
import { readOne } from '../db/query.ts'
import type { Session } from '../db/session.ts'
import { isOfTheMoment } from '../db/sqlstate.ts'
import { inTransaction } from '../db/transaction.ts'
import { EbbError, NOTHING_CHANGED, messageOf } from '../errors.ts'
import { publish, unpublish } from '../plan/table/definitions.ts'
import { companion, quoted, type TableName } from '../sql/names.ts'
import { ident, literal, raw, sql } from '../sql/sql.ts'
import { newNameSuffix } from './name-suffix.ts'

// Event triggers run code of others with each command that changes the catalogue. They may refuse it, at the swap or when
// a run is abandoned, or add to what is created; so a table with an index, a trigger
// and its function is created, altered, published as the table is, and dropped beforehand, and rolled back.

class Rehearsed extends Error {}

/**
 * For a copy or a conversion, whose new table must have nothing that the old one has not.
 *
 * @throws {EbbError} when an event trigger refuses that, or adds something to a new table
 */
export async function rehearseEventTriggers(session: Session, table: TableName, version: number): Promise<void> {
  const added = await rehearse(session, table, async (twin) => {
    const { publications } = await readPresentTable(session, table, version)
    return [...publish(twin, publications), ...unpublish(twin, publications)]
  })
  if (added.what.length > 0)
    throw refused(
      `an event trigger (${added.by}) gives new tables ${added.what.join(' and ')}, which the swap would find`,
    )
}

/**
 * For a rotation: what an event trigger adds to a new partition is its owner's business.
 *
 * @throws {EbbError} when an event trigger refuses to have a table created or dropped
 */
export async function rehearsePartitions(session: Session, table: TableName): Promise<void> {
  await rehearse(session, table)
}

interface Added {
  /** The event triggers. */
  readonly by: string
  readonly what: readonly string[]
}

/** `more` are statements on the table that is created. */
async function rehearse(
  session: Session,
  table: TableName,
  more: (twin: TableName) => Promise<readonly string[]> = () => Promise.resolve([]),
): Promise<Added> {
  const triggers = await readEventTriggers(session)
  const by = triggers.map(({ name }) => name).join(', ')
  if (triggers.length === 0) return { by, what: [] }
  let what: string[] = []
  try {
    await inTransaction(session, {}, async () => {
      what = await createAndDrop(session, table, more)
      throw new Rehearsed()
    })
  } catch (error) {
    if (isOfTheMoment(error)) throw error
    if (!(error instanceof Rehearsed))
      throw refused(`an event trigger (${by}) refuses what has to be done: ${messageOf(error)}`, error)
  }
  return { by, what }
}

async function createAndDrop(
  session: Session,
  table: TableName,
  more: (twin: TableName) => Promise<readonly string[]>,
): Promise<string[]> {
  const name = companion(table.name, `_ebb_${newNameSuffix()}`)
  const twin = { schema: table.schema, name }
  const later = { schema: table.schema, name: companion(name, '_2') }
  const place = quoted(twin)
  await session.query(sql`create table ${place} (like ${quoted(table)} including defaults including constraints)`.text)
  const found = await readOne<{ added: string[] }>(
    session,
    sql`
    select array_remove(array[case when c.relrowsecurity then 'row-level security' end,
      case when exists (select from pg_policy where polrelid = c.oid) then 'policies' end,
      case when exists (select from pg_trigger where tgrelid = c.oid and not tgisinternal) then 'triggers' end,
      case when exists (select from pg_rewrite where ev_class = c.oid) then 'rules' end,
      case when exists (select from pg_index where indrelid = c.oid) then 'indexes' end,
      case when c.relowner <> current_user::regrole then 'another owner' end,
      case when (select count(*) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0)
        <> (select count(*) from pg_attribute a where a.attrelid = ${quoted(table).text}::regclass and a.attnum > 0 and not a.attisdropped) then 'columns' end], null) as added
    from pg_class c where c.oid = ${place.text}::regclass`,
  )
  const code = quoted({ schema: table.schema, name: companion(name, '_3') })
  const trigger = ident(companion(name, '_4'))
  for (const statement of [
    ...(await more(twin)).map((statement) => raw(statement)),
    sql`create index on ${place} ((1))`,
    sql`create function ${code}() returns trigger language plpgsql as ${literal('begin return null; end')}`,
    sql`create trigger ${trigger} after insert on ${place} for each row execute function ${code}()`,
    sql`grant select on ${place} to current_user`,
    sql`comment on table ${place} is ''`,
    sql`drop trigger ${trigger} on ${place}`,
    sql`drop function ${code}()`,
    sql`alter table ${place} rename to ${ident(later.name)}`,
    sql`drop table ${quoted(later)}`,
  ])
    await session.query(statement.text)
  return found.added
}

function refused(what: string, cause?: unknown): EbbError {
  return new EbbError(
    what,
    {
      state: NOTHING_CHANGED,
      next: 'Let the trigger leave this role alone, or have an administrator say, for the time of the run: alter event trigger … disable;',
    },
    'objections',
    cause,
  )
}
