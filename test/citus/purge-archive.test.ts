import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect } from 'vitest'
import { LOCK_LIMITS } from '../../src/engine/locks/short-locks.ts'
import type { EngineOptions } from '../../src/engine/options.ts'
import type { Receipt } from '../../src/plan/archive/receipt.ts'
import type { StoredRemoval } from '../../src/plan/archive/removal.ts'
import { ident, raw, sql } from '../../src/sql/sql.ts'
import { cutAt, rightBefore } from '../engine/move-support.ts'
import { archivedRows, archiveFolder, archiveTo } from '../support/archiving.ts'
import type { Cluster } from '../support/citus.ts'
import { batchesOf, purgeRequest } from '../support/purging.ts'
import { until } from '../support/until.ts'
import { events, test, type Citus } from './support.ts'

// Rows that Citus stores are archived, then deleted: the table and its archive together have what the table had, whatever
// others write, and whatever is killed. EBB_TEST_CITUS_URL.

const OLD = `at < '2026-01-10'`
const OURS = ({ database }: { readonly database?: string | undefined }) => database === 'test'
const BEGINNING = /^lock table .* in access share mode$/
const LISTING = /^insert into .*purge_keys_.* from only /s
const SENDING = /^\s*select array\(select attnum from pg_attribute/
const TAKING = /^insert into .*purge_keys_.*\son conflict/s
const DELETING = /^delete from only .* using .*purge_keys_/s

let folder: Awaited<ReturnType<typeof archiveFolder>>
beforeEach(async () => void (folder = await archiveFolder()))
afterEach(() => folder.close())

function purging(citus: Citus, name = 'events', where = OLD, overrides: Partial<EngineOptions> = {}) {
  const request = purgeRequest(where, { noArchive: false, archive: archiveTo(folder.uri) })
  return citus.purge(name, request, { turns: batchesOf(100), ...overrides })
}

/** Rows as the archive has them, in the order of their text. */
async function rowsOf(owner: pg.Client, name = 'events', where = 'true'): Promise<string[]> {
  const at = `to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || '+00'`
  const { rows } = await owner.query<{ row: string }>(
    sql`select format('%s,%s,%s,%s', tenant, id, ${raw(at)}, note) as row from ${ident(name)} where ${raw(where)}`,
  )
  return rows.map(({ row }) => row).toSorted()
}

/** What is in the archives, without what their removals say was kept; and how many have a receipt. */
async function archived(): Promise<{ readonly rows: string[]; readonly kept: number; readonly receipts: number }> {
  const names = await readdir(folder.path, { recursive: true })
  const read = async <T>(name: string) => JSON.parse(await readFile(join(folder.path, name), 'utf8')) as T
  const rows: string[] = []
  let kept = 0
  const receipts = names.filter((name) => name.endsWith('receipt.json'))
  for (const name of receipts) {
    const removal = name.replace('receipt', 'removal')
    const keys = names.includes(removal) ? (await read<StoredRemoval>(removal)).tables[0]!.keptKeys : []
    const stayed = new Set(keys.map(([tenant, id]) => `${tenant},${id}`))
    const all = await archivedRows(folder.path, await read<Receipt>(name))
    rows.push(...all.filter((row) => !stayed.has(row.split(',').slice(0, 2).join())))
    kept += stayed.size
  }
  return { rows: rows.map((row) => row.replace(/,$/, '')), kept, receipts: receipts.length }
}

async function listsLeft(owner: pg.Client, citus: Citus): Promise<number> {
  const { rows } = await owner.query<{ lists: number }>(
    `select count(*)::int as lists from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = '${citus.journalSchema}' and c.relname ~ '^purge_keys_' and c.relkind = 'r'`,
  )
  return rows[0]!.lists
}

/** Nothing is lost, and nothing is there twice. */
async function expectAll(owner: pg.Client, before: readonly string[]): Promise<void> {
  expect([...(await rowsOf(owner)), ...(await archived()).rows].toSorted()).toEqual(before)
}

describe('rows that Citus stores', () => {
  test('are archived, and then exactly those are deleted', async ({ citus, owner }) => {
    await events(owner, 5_000)
    const [before, old] = [await rowsOf(owner), await rowsOf(owner, 'events', OLD)]
    const { figures, remaining } = await purging(citus)
    expect([figures?.rows, remaining?.matching, remaining?.left?.rows]).toEqual([old.length, 0, 0])
    expect((await archived()).rows.toSorted()).toEqual(old)
    await expectAll(owner, before)
    expect(await listsLeft(owner, citus)).toBe(0)
  })

  test('of a partitioned table', async ({ citus, owner }) => {
    for (const statement of [
      'create table log (tenant int not null, id bigint not null, at timestamptz not null, note text, primary key (tenant, id, at)) partition by range (at)',
      `create table log_1 partition of log for values from ('2026-01-01') to ('2026-01-08')`,
      `create table log_2 partition of log for values from ('2026-01-08') to ('2026-03-01')`,
      'set citus.shard_count = 8',
      `select create_distributed_table('log', 'tenant')`,
      `insert into log select n % 97, n, '2026-01-01'::timestamptz + n * interval '10 minutes', 'x' from generate_series(1, 5000) n`,
    ])
      await owner.query(statement)
    const where = `${OLD} and tenant % 2 = 0`
    const [before, old] = [await rowsOf(owner, 'log'), await rowsOf(owner, 'log', where)]
    const { figures } = await purging(citus, 'log', where)
    expect(figures?.rows).toBe(old.length)
    expect((await archived()).rows.toSorted()).toEqual(old)
    expect([...(await rowsOf(owner, 'log')), ...old].toSorted()).toEqual(before)
  })

  test('as a reference table, and a local one that Citus manages', async ({ citus, owner }) => {
    for (const [name, stored] of [
      ['kinds', 'create_reference_table'],
      ['managed', 'citus_add_local_table_to_metadata'],
    ] as const) {
      await owner.query(`create table ${name} (tenant int, id int primary key, at timestamptz, note text)`)
      await owner.query(`select ${stored}('${name}')`)
      await owner.query(
        `insert into ${name} select n % 7, n, '2026-01-01'::timestamptz + n * interval '10 minutes', 'x' from generate_series(1, 3000) n`,
      )
      // Rows of copies are at other addresses.
      await owner.query(`update ${name} set note = note || id where id % 7 = 0`)
      const old = await rowsOf(owner, name, OLD)
      const { figures } = await purging(citus, name)
      expect(figures?.rows).toBe(old.length)
      expect(new Set(await citus.counts(owner, name, 'placements'))).toEqual(new Set([3_000 - old.length]))
      expect((await archived()).rows).toEqual(expect.arrayContaining(old))
    }
  })

  test('of groups without activity', async ({ citus, owner }) => {
    await events(owner, 3_000)
    await owner.query('create index on events (tenant, at)')
    await owner.query('update events set at = now() where tenant % 2 = 0 and id < 100')
    const old = await rowsOf(owner, 'events', 'tenant % 2 = 1')
    const rows = { kind: 'stale', group: 'tenant', activity: 'at', idle: { count: 1, unit: 'hour' } } as const
    await citus.purge('events', purgeRequest(rows, { noArchive: false, archive: archiveTo(folder.uri) }))
    expect((await archived()).rows.toSorted()).toEqual(old)
    expect(await citus.total(owner, 'events', 'tenant % 2 = 1')).toBe(0)
  })
})

describe('while others write', () => {
  const WRITES = [
    `update events set note = 'changed' where id between 10 and 19`,
    'delete from events where id between 20 and 29',
    `insert into events select n % 97, n, '2026-01-02', 'new' from generate_series(90001, 90020) n`,
  ]

  test.for([
    ['before the rows are listed', BEGINNING],
    ['between the list and the archive', SENDING],
    ['between the archive and the first batch', TAKING],
    ['within a batch', DELETING],
  ] as const)('%s: only what is unchanged is deleted', async ([, statement], { citus, owner }) => {
    await events(owner, 3_000)
    await owner.query('delete from events where id % 2 = 1')
    const writer = await citus.session()
    let after: string[] = []
    const write = async () => {
      for (const one of WRITES) await writer.query(one)
      after = await rowsOf(writer)
    }
    await rightBefore(statement, OURS, write, () => purging(citus))
    // As the writer has left it: what was changed after it had been archived is in the table alone.
    const [left, gone] = [new Set(await rowsOf(owner)), new Set((await archived()).rows)]
    expect(after.filter((row) => !left.has(row) && !gone.has(row))).toEqual([])
    expect([...left].filter((row) => gone.has(row))).toEqual([])
    expect(await citus.total(owner, 'events', `note = 'changed' and not (${OLD})`)).toBe(0)
    const isSeen = statement === BEGINNING
    expect(await citus.total(owner, 'events', `note = 'changed'`)).toBe(isSeen ? 0 : 5)
    expect(await citus.total(owner, 'events', `id > 90000`)).toBe(isSeen ? 0 : 20)
    expect((await archived()).kept).toBe(isSeen ? 0 : 10)
  })

  test('a row that is changed within a batch, and stays within its range, is kept', async ({ citus, owner }) => {
    await events(owner, 3_000)
    // There is room in its block.
    await owner.query('delete from events where id % 2 = 1')
    await owner.query('vacuum events')
    const writer = await citus.session()
    const write = () => writer.query(`update events set note = 'changed' where id = 16`)
    await rightBefore(DELETING, OURS, write, () => purging(citus))
    expect(await citus.total(owner, 'events', `note = 'changed'`)).toBe(1)
    expect((await archived()).kept).toBe(1)
  })

  test('a row that is changed, archived so, and changed back is not deleted', async ({ citus, owner }) => {
    await events(owner, 3_000)
    const writer = await citus.session()
    const write = (note: string) => () => writer.query('update events set note = $1 where id = 15', [note])
    const note = 'x'.repeat(60)
    // If it were sent as it is when it is sent, the archive would have what was there for a moment.
    await rightBefore(SENDING, OURS, write('for a moment'), () =>
      rightBefore(TAKING, OURS, write(note), () => purging(citus)),
    )
    const [row] = await rowsOf(owner, 'events', 'id = 15')
    const found = [row, ...(await archived()).rows.filter((one) => one.startsWith('15,15,'))]
    expect(found.filter((one) => one !== undefined)).toEqual([`15,15,2026-01-01 02:30:00+00,${note}`])
  })

  test('nothing is deleted if a node has sent other rows than it has listed', async ({ citus, owner }) => {
    await events(owner, 3_000)
    const before = await rowsOf(owner)
    const writer = await citus.session()
    const write = (note: string) => () => writer.query('update events set note = $1 where id = 15', [note])
    // As if the nodes kept no snapshot.
    await withoutSnapshots(async () => {
      const archiving = () =>
        expect(purging(citus)).rejects.toThrow(/rows of .*events are archived, and .* would be deleted/)
      await rightBefore(SENDING, OURS, write('for a moment'), archiving)
    })
    await write('x'.repeat(60))()
    expect(await rowsOf(owner)).toEqual(before)
  })

  test('a locked row is kept, and said to be so', async ({ citus, owner }) => {
    await events(owner, 3_000)
    const before = await rowsOf(owner)
    const other = await citus.session()
    await other.query('begin')
    await other.query('select from events where tenant = 5 and id = 5 for update')
    const { remaining } = await purging(citus, 'events', OLD, { lockLimits: { ...LOCK_LIMITS, deadlineMs: 1_000 } })
    await other.query('rollback')
    const { kept } = await archived()
    expect(kept).toBeGreaterThan(0)
    expect(remaining?.left).toMatchObject({ rows: kept, matching: kept, changed: 0, gone: 0 })
    await expectAll(owner, before)
  })

  test('a shard is moved after the archive: its rows are found again', async ({ citus, owner }) => {
    await events(owner, 3_000)
    const before = await rowsOf(owner)
    const mover = await citus.session()
    const { rows } = await owner.query<{ move: string }>(
      `select format('select citus_move_shard_placement(%s, %L, %s, %L, %s, ''block_writes'')', s.shardid, d.nodename, d.nodeport, o.nodename, o.nodeport) as move
       from pg_dist_shard s join pg_dist_placement p using (shardid) join pg_dist_node d using (groupid) join pg_dist_node o on o.nodeport <> d.nodeport and o.shouldhaveshards
       where s.logicalrelid = 'events'::regclass order by shardid limit 1`,
    )
    let batches = 0
    const turn = async () => {
      batches += 1
      if (batches === 3) await mover.query(rows[0]!.move)
      return { rows: 50 }
    }
    const { remaining } = await purging(citus, 'events', OLD, { turns: { turn } })
    expect(batches).toBeGreaterThan(3)
    expect([remaining?.matching, remaining?.left?.rows]).toEqual([0, 0])
    await expectAll(owner, before)
  })
})

/** With transactions that see what is committed meanwhile. */
async function withoutSnapshots(work: () => Promise<void>): Promise<void> {
  type Query = (this: pg.Client, ...words: unknown[]) => unknown
  const { query } = pg.Client.prototype as { query: Query }
  pg.Client.prototype.query = function (this: pg.Client, ...words: unknown[]) {
    const [text, ...more] = words
    const read =
      typeof text === 'string'
        ? text.replace('isolation level repeatable read', 'isolation level read committed')
        : text
    return query.apply(this, [read, ...more])
  } as typeof pg.Client.prototype.query
  try {
    await work()
  } finally {
    pg.Client.prototype.query = query as typeof pg.Client.prototype.query
  }
}

describe('killed', () => {
  /** In the order in which they are sent. */
  const STEPS: readonly (readonly [string, RegExp])[] = [
    ['when the list is created', /create_distributed_table/],
    ['when rows are listed', LISTING],
    ['when rows are sent', SENDING],
    ['when all rows are sent, without a receipt', /^\s*select current_user::text as role$/],
    ['when the receipt is recorded', /^\s*update .*archive.* set .*receipt/s],
    ['when a batch takes its rows', TAKING],
    ['when a batch deletes', DELETING],
    ['when the list is read', /^declare ebb_kept/],
    ['when the list is dropped', /^drop table .*purge_keys_/],
  ]

  test.for(STEPS)('%s: the same command does the rest', async ([, statement], { citus, owner }) => {
    await events(owner, 3_000)
    const [before, old] = [await rowsOf(owner), await rowsOf(owner, 'events', OLD)]
    const isCut = await cutAt(statement, OURS, () => purging(citus).catch(() => {}))
    expect(isCut).toBe(true)
    await expectAtMostOnce(owner, before)
    // What it had begun on the nodes may take a moment to end.
    await until(
      () =>
        purging(citus).then(
          () => true,
          () => undefined,
        ),
      { timeoutMs: 60_000 },
    )
    await expectAll(owner, before)
    expect(await citus.total(owner, 'events', OLD)).toBe(0)
    expect((await archived()).rows.toSorted()).toEqual(old)
    expect(await listsLeft(owner, citus)).toBe(0)
  })

  /** Before it has ended, rows may be in both; none may be in neither. */
  async function expectAtMostOnce(owner: pg.Client, before: readonly string[]): Promise<void> {
    const there = new Set([...(await rowsOf(owner)), ...(await archived()).rows])
    expect(before.filter((row) => !there.has(row))).toEqual([])
  }
})

describe('a batch that a node has prepared, and may still commit', () => {
  test('is waited for before it is said which rows were kept', async ({ citus, cluster, owner }) => {
    await events(owner, 400)
    const before = await rowsOf(owner)
    let commit = () => Promise.resolve()
    let batches = 0
    const turn = async () => {
      batches += 1
      if (batches === 1) commit = await prepareOnWorker(cluster, citus, owner)
      return { rows: 100 }
    }
    const overrides = { turns: { turn }, lockLimits: { ...LOCK_LIMITS, deadlineMs: 1_000 } }
    try {
      await expect(purging(citus, 'events', 'id <= 150', overrides)).rejects.toMatchObject({
        kind: 'try later',
        message: expect.stringMatching(/has not ended on each node: prepared transaction "of a test/) as string,
      })
    } finally {
      await commit()
    }
    await purging(citus, 'events', 'id <= 150')
    await expectAll(owner, before)
  })
})

/** What a batch does to one shard of each table, prepared there; returns how it ends. */
async function prepareOnWorker(cluster: Cluster, citus: Citus, owner: pg.Client): Promise<() => Promise<void>> {
  const [worker = ''] = await cluster.workers()
  const writer = await cluster.session(worker)
  const { rows } = await owner.query<{ list: string }>(
    `select format('%I.%I', n.nspname, c.relname) as list from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = '${citus.journalSchema}' and c.relname ~ '^purge_keys_' and c.relkind = 'r'`,
  )
  const shards = await writer.query<{ events: string; list: string }>(
    `select shard_name(e.logicalrelid, e.shardid) as events, shard_name(l.logicalrelid, l.shardid) as list
     from pg_dist_shard e join pg_dist_placement using (shardid) join pg_dist_local_group using (groupid) join pg_dist_shard l on l.shardminvalue = e.shardminvalue
     where e.logicalrelid = '${citus.schema}.events'::regclass and l.logicalrelid = '${rows[0]!.list}'::regclass limit 1`,
  )
  const { events: table, list } = shards.rows[0]!
  await writer.query(`set citus.override_table_visibility to off; set citus.enable_manual_changes_to_shards to on`)
  await writer.query('begin')
  await writer.query(`update ${list} set ebb_batch = 100000`)
  const { rowCount } = await writer.query(
    `delete from ${table} t using ${list} l where t.tenant = l.ebb_key_1 and t.id = l.ebb_key_2`,
  )
  expect(rowCount).toBeGreaterThan(0)
  await writer.query(`prepare transaction 'of a test ${citus.schema}'`)
  return async () => void (await writer.query(`commit prepared 'of a test ${citus.schema}'`))
}
