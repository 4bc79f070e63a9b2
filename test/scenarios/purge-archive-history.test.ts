import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { EXIT } from '../../src/cli/exit-codes.ts'
import type { Session } from '../../src/db/session.ts'
import type { PurgeRequest } from '../../src/plan/purge/request.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { archivesIn, differences, restoreDeleted } from '../support/archived-contents.ts'
import { archiveFolder, archiveTo } from '../support/archiving.ts'
import { test, type Database } from '../support/database.ts'
import { startTool } from '../support/process.ts'
import { batchesOf, purgeRequest, purgeRows } from '../support/purging.ts'
import { randomFrom } from '../support/random.ts'
import { persevere } from '../support/tool.ts'

// A table is purged with an archive while rows are inserted, changed, changed back, deleted, and inserted again under
// the same key, and the purge is killed now and then. What the archives hold, without what their removal documents say
// was kept, is exactly what was deleted, each row as it was then; with --cascade, of the tables around as well.
// EBB_TEST_ROUNDS for more, EBB_TEST_SEED for the same.

const ROUNDS = Number(process.env.EBB_TEST_ROUNDS ?? 2)
const ROWS = 450
const WRITERS = 3

describe('archives hold exactly what a purge has deleted', () => {
  for (let round = 0; round < ROUNDS; round++) {
    const cascading = round % 2 === 1

    test(`round ${round + 1}${cascading ? ', in partitions, with dependent rows' : ''}`, async ({ database }) => {
      const random = randomFrom(`archive round ${round + 1}`)
      const folder = await archiveFolder()
      const table = await members(database, cascading)
      if (cascading) await dependents(database, table)
      const writers = await startWriters(database, table, random, cascading)
      const once = () => purged(database, table, folder.uri, random, cascading)
      try {
        for (let purges = 0; purges < 2; purges++) await once()
        await writers.stop()
        await once()
        const owner = await database.session('look')
        const { archives, leftovers } = await archivesIn(folder.path)
        for (const archive of archives) {
          expect(archive.removal).not.toBeNull()
          for (const { name } of archive.receipt.tables)
            await restoreDeleted(owner, folder.path, archive, named(table, `${name}_restored`), name)
        }
        expect(leftovers).toEqual([])
        for (const name of cascading ? ['members', 'items', 'tags'] : ['members']) {
          const [deleted, restored] = [named(table, `${name}_deleted`), named(table, `${name}_restored`)]
          expect(await differences(owner, deleted, restored)).toEqual([])
        }
        const { rows } = await owner.query(sql`select from ${quoted(table)} where not kept`)
        expect(rows).toEqual([])
        expect(writers.changes()).toBeGreaterThan(100)
      } finally {
        await writers.stop()
        await folder.close()
      }
    })
  }
})

function named({ schema }: TableName, name: string): TableName {
  return { schema, name }
}

async function members(database: Database, partitioned: boolean): Promise<TableName> {
  const table = database.table('members')
  const place = quoted(table)
  const owner = await database.session('owner')
  const statements = [
    sql`create table ${place} (id int primary key, kept boolean not null, n int, note text, at timestamptz default clock_timestamp())`
      .text,
  ]
  if (partitioned)
    statements[0] += `  partition by range (id); ${[0, 200, 400]
      .map(
        (from) =>
          sql`create table ${quoted(named(table, `part_${from}`))} partition of ${place}`.text +
          ` for values from (${from}) to (${from === 400 ? 100_000 : from + 200})`,
      )
      .join(';')}`
  for (const statement of [
    ...statements,
    sql`insert into ${place} select n, n % 3 = 0, n, 'note ' || n from generate_series(1, ${ROWS}::int) n`,
    sql`analyze ${place}`,
  ])
    await owner.query(typeof statement === 'string' ? { text: statement } : statement)
  await owner.query(withTale(table))
  return table
}

/** What is deleted from a table by a purge is told, row by row. */
function withTale(table: TableName): string {
  const of = (what: string) => quoted(named(table, `${table.name}_${what}`))
  const place = quoted(table)
  return sql`
    create table ${of('deleted')} (like ${place}); create table ${of('restored')} (like ${place});
    create function ${of('tell')}() returns trigger language plpgsql as $$
    begin
      if current_setting('application_name') like 'ebb purge%' then insert into ${of('deleted')} select old.*; end if;
      return old;
    end $$;
    create trigger tell after delete on ${place} for each row execute function ${of('tell')}()`.text
}

/** Each member has items, which PostgreSQL deletes with it, and each item tags, which keep it. */
async function dependents(database: Database, table: TableName): Promise<void> {
  const owner = await database.session('owner')
  const [members, items, tags] = [table, named(table, 'items'), named(table, 'tags')].map(quoted)
  await owner.query(
    sql`
    create table ${items} (id int primary key, member int references ${members} on delete cascade, n int);
    create table ${tags} (item int references ${items}, t int, n int, primary key (item, t)) partition by hash (item);
    create table ${quoted(named(table, 'tags_0'))} partition of ${tags} for values with (modulus 2, remainder 0);
    create table ${quoted(named(table, 'tags_1'))} partition of ${tags} for values with (modulus 2, remainder 1);
    create index on ${items} (member);
    insert into ${items} select n, 1 + n % 450, n from generate_series(1, 900) n;
    insert into ${tags} select n, 1, n from generate_series(1, 900, 2) n;
    analyze ${items}; analyze ${tags}`.text,
  )
  for (const name of ['items', 'tags']) await owner.query(withTale(named(table, name)))
}

async function startWriters(database: Database, table: TableName, random: () => number, cascading: boolean) {
  let [changes, over] = [0, false]
  const work = async (session: Session) => {
    while (!over) {
      const doing = cascading && random() < 0.6 ? changeDependent : change
      await doing(session, table, random).catch(() => {}) // a key that is there already, or is not
      changes += 1
      await sleep(random() * 4)
    }
  }
  const sessions: Session[] = []
  for (let i = 0; i < WRITERS; i++) sessions.push(await database.session(`writer ${i}`))
  const working = sessions.map(work)
  const stop = async () => {
    over = true
    await Promise.all(working)
  }
  return { stop, changes: () => changes }
}

/** Each a transaction of its own, so that a purge may come between any two. */
async function change(session: Session, table: TableName, random: () => number): Promise<void> {
  const place = quoted(table)
  const id = 1 + Math.floor(random() * ROWS)
  switch (Math.floor(random() * 7)) {
    case 0:
      return run(
        session,
        sql`insert into ${place} values (${ROWS + Math.floor(random() * 500)}, ${random() < 0.3}, 1, 'new')`,
      )
    case 1:
      return run(session, sql`update ${place} set n = n + 1 where id = ${id}`)
    case 2:
      await run(session, sql`update ${place} set n = n + 1000 where id = ${id}`)
      await sleep(random() * 40)
      return run(session, sql`update ${place} set n = n - 1000 where id = ${id}`)
    case 3:
      return run(session, sql`update ${place} set kept = not kept where id = ${id}`)
    case 4:
      return run(session, sql`delete from ${place} where id = ${id}`)
    case 5:
      return run(session, sql`insert into ${place} values (${id}, false, ${id}, 'again')`)
    case 6:
      return again(session, table, id, random)
  }
}

/** Of a member, an item or its tag. */
async function changeDependent(session: Session, table: TableName, random: () => number): Promise<void> {
  const [items, tags] = [named(table, 'items'), named(table, 'tags')].map(quoted)
  const [id, member] = [1 + Math.floor(random() * 900), 1 + Math.floor(random() * ROWS)]
  switch (Math.floor(random() * 8)) {
    case 0:
      return run(session, sql`insert into ${items} values (${1000 + Math.floor(random() * 9000)}, ${member}, 1)`)
    case 1:
      return run(session, sql`update ${items} set n = n + 1 where id = ${id}`)
    case 2:
      await run(session, sql`update ${items} set n = n + 1000 where id = ${id}`)
      await sleep(random() * 40)
      return run(session, sql`update ${items} set n = n - 1000 where id = ${id}`)
    case 3:
      return run(session, sql`update ${items} set member = ${member} where id = ${id}`)
    case 4:
      return run(session, sql`delete from ${items} where id = ${id}`)
    case 5:
      return run(session, sql`insert into ${tags} values (${id}, ${Math.floor(random() * 9)}, 1)`)
    case 6:
      return run(session, sql`update ${tags} set n = n + 1 where item = ${id}`)
    case 7:
      return run(session, sql`delete from ${tags} where item = ${id}`)
  }
}

/** Deletes a row and inserts it as it was. */
async function again(session: Session, table: TableName, id: number, random: () => number): Promise<void> {
  const place = quoted(table)
  const { rows } = await session.query<Record<string, unknown>>(
    sql`delete from ${place} where id = ${id} returning id, kept, n, note, at::text as at`,
  )
  await sleep(random() * 20)
  for (const { id, kept, n, note, at } of rows)
    await run(session, sql`insert into ${place} values (${id}, ${kept}, ${n}, ${note}, ${at})`)
}

async function run(session: Session, statement: ReturnType<typeof sql>): Promise<void> {
  await session.query(statement)
}

async function purged(
  database: Database,
  table: TableName,
  uri: string,
  random: () => number,
  cascade: boolean,
): Promise<void> {
  const archive = archiveTo(uri, { partBytes: 4_000 })
  const request: PurgeRequest = purgeRequest('not kept', { noArchive: false, archive, cascade })
  const lockLimits = { lockTimeoutMs: 50, workTimeoutMs: 1_000, deadlineMs: 300 }
  const batchRows = 5 + Math.floor(random() * 40)
  while (random() < 0.5) {
    const dieAtStatement = { number: 40 + Math.floor(random() * 250), afterMs: Math.floor(random() * 6) }
    const options = { lockLimits }
    const errand = { command: 'purge', url: database.url, table, purge: request, batchRows, options } as const
    expect(await startTool({ ...errand, dieAtStatement }).end()).toSatisfy(isDeadOrDone)
  }
  await persevere(() => purgeRows(database, table, request, { turns: batchesOf(batchRows), lockLimits }))
}

/** A session of one that was killed may still hold the lease, and then nothing is done. */
function isDeadOrDone(end: number | string): boolean {
  return end === 'SIGKILL' || end === EXIT.done || end === EXIT.tryLater
}
