import { execFileSync } from 'node:child_process'
import { describe, expect, inject } from 'vitest'
import { withSession } from '../../src/db/session.ts'
import { planRollbackOf } from '../../src/engine/runs/runs.ts'
import { migrateJournal } from '../../src/journal/migrate.ts'
import { display, quoted, type TableName } from '../../src/sql/names.ts'
import { ident, literal, sql } from '../../src/sql/sql.ts'
import { test, Database } from '../support/database.ts'
import { OWNER } from '../support/template.ts'
import { createEvents } from '../support/events-table.ts'
import { findProgram, isNewEnough } from '../support/programs.ts'
import { markRequest, purgeRequest, purgeRows } from '../support/purging.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { splitOrder } from './split-support.ts'
import {
  partition,
  planMarkOf,
  planPartitionCopyOf,
  planPartitionOf,
  planPurgeOf,
  planRebuildOf,
  planSplitOf,
  rebuild,
} from '../support/commands.ts'

// Publications of all there is know of no name: they send on what Ebb makes, or leave out what it replaces.

describe('a publication of all tables', () => {
  test('is an objection to a copy into partitions, whose rows it would publish under another name', async ({
    database,
  }) => {
    const { events } = await createEvents(database, { rows: 100 })
    await database.admin('create publication everything for all tables with (publish_via_partition_root)')
    const request = { ...monthly(), transport: 'server', jobs: 1, noArchive: true, retireAfter: null } as const
    const { objections } = await planPartitionCopyOf(database.url, written(events), request, quietly())
    expect(codesOf(objections)).toEqual(['publication:everything'])
  })

  test('is an objection to a split', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 100 })
    await partition(database.url, written(events), monthly(), quietly())
    await database.admin('create publication everything for all tables with (publish_via_partition_root)')
    const { objections } = await planSplitOf(database.url, written(events), splitOrder({ noArchive: true }), quietly())
    expect(codesOf(objections)).toContain('publication:everything')
  })

  test('publishes the journal: subscribers stop, and continue once they have it', async ({ database }) => {
    const table = await numbers(database)
    await database.admin('create publication everything for all tables')
    await withSubscriber(database, 'everything', async (subscriber) => {
      const { notes } = await planPurgeOf(database.url, written(table), purgeRequest('id <= 10'), quietly())
      expect(notes.join('\n')).toMatch(/publication everything publishes all tables, the journal’s in ebb too/)
      await purgeRows(database, table, purgeRequest('id <= 10'))
      await subscriber.stops()
      await withSession(subscriber.database.adminUrl, 'subscriber', (session) => migrateJournal(session, 'ebb'))
      await subscriber.catchesUp()
      expect((await subscriber.database.admin(sql`select count(*)::int as n from ${quoted(table)}`)).rows).toEqual([
        { n: 90 },
      ])
    })
  })

  test('rejects deletes and updates if the primary key is deferrable', async ({ database }) => {
    const table = await numbers(database, 'id int primary key deferrable')
    await database.admin('create publication everything for all tables')
    const { objections } = await planPurgeOf(database.url, written(table), purgeRequest('id <= 10'), quietly())
    expect(codesOf(objections)).toEqual([expect.stringMatching(/identity/)])
    await expect(database.admin(sql`delete from ${quoted(table)} where id = 1`)).rejects.toThrow(/replica identity/)
  })
})

describe('statements rejected because of a publication are objections', () => {
  test('a referencing table whose columns are set to null', async ({ database }) => {
    const table = await numbers(database)
    await database.admin(
      sql`create table below (n int references ${quoted(table)} on delete set null);
      create publication p for table below; alter table below owner to ${ident(OWNER)}`.text,
    )
    expect(await refusedBy(database, table)).toEqual(['replica-identity:public.below'])
    await database.admin('alter publication p set (publish = insert)')
    expect(await refusedBy(database, table)).toEqual([])
  })

  test.for([
    ['a row filter over another column', '% where (other > 0)'],
    ['a list of columns without the key', '% (other)'],
  ] as const)('%s', async ([, published], { database, skip }) => {
    if (database.version < 150000) skip('both exist from 15 on')
    const table = await numbers(database)
    await database.admin(sql`alter table ${quoted(table)} add other int`.text)
    await database.admin(`create publication p for table ${published.replace('%', quoted(table).text)}`)
    const app = await database.session('app')
    await expect(app.query(sql`delete from ${quoted(table)} where id = 1`)).rejects.toThrow(/cannot delete/)
    expect(await refusedBy(database, table)).toEqual([`replica-identity:${display(table)}`])
  })

  async function refusedBy(database: Database, table: TableName): Promise<string[]> {
    const { objections } = await planPurgeOf(database.url, written(table), purgeRequest('id <= 10'), quietly())
    return codesOf(objections)
  }
})

describe('from 19 on', () => {
  test('a table excepted from a publication of all tables cannot be replaced', async ({ database, skip }) => {
    if (database.version < 190_000) skip('FOR ALL TABLES EXCEPT came with 19')
    const { events } = await createEvents(database, { rows: 100 })
    const except = sql`create publication p for all tables except (table ${quoted(events)}) with (publish_via_partition_root)`
    await database.admin(except)

    const attach = await planPartitionOf(database.url, written(events), monthly(), quietly())
    const rebuilt = await planRebuildOf(database.url, written(events), rebuildRequest(), quietly())
    expect([attach, rebuilt].map(({ objections }) => codesOf(objections))).toEqual([['excepted:p'], ['excepted:p']])

    // The way out: without it, and afterwards again.
    await database.admin('drop publication p')
    await partition(database.url, written(events), monthly(), quietly())
    await database.admin(except)
    const split = await planSplitOf(database.url, written(events), splitOrder({ noArchive: true }), quietly())
    expect(codesOf(split.objections)).toEqual(['excepted:p'])
  })

  test('an excepted table does not count as published', async ({ database, skip }) => {
    if (database.version < 190_000) skip('FOR ALL TABLES EXCEPT came with 19')
    const table = await numbers(database, 'id int, old bool')
    await database.admin(sql`create publication p for all tables except (table ${quoted(table)})`)
    const purge = await planPurgeOf(database.url, written(table), purgeRequest('id <= 10'), quietly())
    expect(purge.objections).toEqual([])
    expect(purge.notes.join('\n')).not.toMatch(/delete event/)
    const order = markRequest('id <= 10', 'old')
    const mark = await planMarkOf(database.url, written(table), order, quietly())
    expect(mark.objections).toEqual([])
    await purgeRows(database, table, purgeRequest('id <= 10'))
  })

  test('subscribers to all sequences refresh once they have those of the journal', async ({ database, skip }) => {
    if (database.version < 190_000) skip('FOR ALL SEQUENCES came with 19')
    const table = await numbers(database)
    await database.admin('create publication sequences for all sequences')
    await withSubscriber(database, 'sequences', async (subscriber) => {
      const { notes } = await planPurgeOf(database.url, written(table), purgeRequest('id <= 10'), quietly())
      const note = notes.find((one) => one.startsWith('publication sequences publishes all sequences'))
      await purgeRows(database, table, purgeRequest('id <= 10'))
      await expect(subscriber.refresh()).rejects.toThrow(/ebb/)

      const program = findProgram('pg_dump')
      if (!('path' in program) || !isNewEnough(program.path, database.version)) return
      const words = /pg_dump (\S+) (\S+)/.exec(note ?? '')?.slice(1) ?? []
      const dump = execFileSync(program.path, [...words, database.adminUrl], { encoding: 'utf8' })
      await subscriber.database.admin(dump.replaceAll(/^\\.*$/gm, ''))
      await subscriber.refresh()
    })
  })

  test('a subscription follows the sequence of an identity column again once it is refreshed', async ({
    database,
    skip,
  }) => {
    if (database.version < 190_000) skip('subscriptions to sequences came with 19')
    const columns = 'id int generated by default as identity primary key'
    const table = await numbers(database, columns)
    const sequence = sql`pg_get_serial_sequence(${quoted(table).text}, 'id')::regclass`
    await database.admin('create publication sequences for all sequences')
    await withSubscriber(
      database,
      'sequences',
      async (subscriber) => {
        const valueIs = async (value: number) => {
          const { rows } = await subscriber.database.admin<{ value: string }>(
            sql`select pg_sequence_last_value(${sequence}) as value`,
          )
          return rows[0]?.value === String(value)
        }
        const { url } = subscriber.database
        const { objections } = await planRebuildOf(url, written(table), rebuildRequest(), quietly())
        const accept = codesOf(objections)
        expect(accept).toEqual([expect.stringMatching(/^subscribed-sequence:/)])

        const { runId } = await rebuild(url, written(table), rebuildRequest(), { ...quietly(), accept })
        expect(objections[0]?.fix).toContain('alter subscription "s" refresh publication')
        await subscriber.refresh()
        await database.admin(sql`select setval(${sequence}, 1000)`)
        await subscriber.database.admin('alter subscription s refresh sequences')
        await until(() => valueIs(1_000))
        const back = await planRollbackOf(url, { runId }, quietly())
        expect(codesOf(back.objections)).toEqual(accept)
      },
      columns,
    )
  })
})

function codesOf(objections: readonly { code: string }[]): string[] {
  return objections.map(({ code }) => code)
}

async function numbers(database: Database, columns = 'id int primary key'): Promise<TableName> {
  const table = database.table('numbers')
  const owner = await database.session('owner')
  await owner.query(`create table ${quoted(table).text} (${columns})`)
  await owner.query(sql`insert into ${quoted(table)} select generate_series(1, 100)`)
  return table
}

/** Another database with the same table, that follows a publication of the first. */
async function withSubscriber(
  publisher: Database,
  publication: string,
  work: (subscriber: Subscriber) => Promise<void>,
  columns = 'id int primary key',
): Promise<void> {
  const subscriber = new Subscriber(publisher, await Database.create(inject('ground')))
  try {
    await subscriber.subscribe(publication, columns)
    await work(subscriber)
  } finally {
    await subscriber.end()
  }
}

class Subscriber {
  readonly database: Database
  private readonly publisher: Database
  private readonly slot: string

  constructor(publisher: Database, database: Database) {
    this.publisher = publisher
    this.database = database
    this.slot = publisher.name
  }

  /** In one cluster the subscription cannot make its slot by itself: it would wait for its own transaction. */
  async subscribe(publication: string, columns: string): Promise<void> {
    const owner = await this.database.session('owner')
    const table = this.publisher.table('numbers')
    await owner.query(`create table ${quoted(table).text} (${columns})`)
    await this.publisher.admin(sql`select pg_create_logical_replication_slot(${this.slot}, 'pgoutput')`)
    await this.database.admin(
      sql`create subscription s connection ${literal(this.publisher.adminUrl)} publication ${ident(publication)} with (create_slot = false, slot_name = ${ident(this.slot)})`
        .text,
    )
    if (publication === 'everything')
      await until(async () => (await this.count(table)) === 100, { what: 'the first rows' })
  }

  /** Comes back when applying has failed. */
  async stops(): Promise<void> {
    const seen = async () => {
      const { rows } = await this.publisher.admin<{ stopped: boolean }>(
        sql`select not active as stopped from pg_replication_slots where slot_name = ${this.slot}`,
      )
      return rows[0]?.stopped
    }
    await until(seen, { what: 'the subscriber to stop' })
  }

  /** Comes back when everything written so far has been applied. */
  async catchesUp(): Promise<void> {
    const { rows: now } = await this.publisher.admin<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn')
    const seen = async () => {
      const { rows } = await this.publisher.admin<{ done: boolean }>(
        sql`select confirmed_flush_lsn >= ${now[0]?.lsn ?? ''}::pg_lsn as done from pg_replication_slots where slot_name = ${this.slot}`,
      )
      return rows[0]?.done
    }
    await until(seen, { what: 'the subscriber to catch up' })
  }

  async refresh(): Promise<void> {
    await this.database.admin('alter subscription s refresh publication')
  }

  async end(): Promise<void> {
    await this.database.admin('alter subscription s disable; alter subscription s set (slot_name = none)')
    await this.database.admin('drop subscription s')
    const dropped = async () => {
      const drop = sql`select pg_drop_replication_slot(${this.slot})`
      return this.publisher.admin(drop).then(
        () => true,
        () => false,
      )
    }
    await until(dropped, { what: 'the slot to be free' })
    await this.database.close()
    await this.database.drop()
  }

  private async count(table: TableName): Promise<number | undefined> {
    const { rows } = await this.database.admin<{ n: number }>(sql`select count(*)::int as n from ${quoted(table)}`)
    return rows[0]?.n
  }
}
