import { describe, expect } from 'vitest'
import { LOCK_LIMITS } from '../../src/engine/locks/short-locks.ts'
import { planPurgeOf, mark } from '../support/commands.ts'
import { batchesOf, markRequest, purgeRequest } from '../support/purging.ts'
import { archive } from '../../src/engine/commands/archive.ts'
import { carryOut } from '../../src/engine/run.ts'
import { archiveFolder, archiveTo } from '../support/archiving.ts'
import type { PurgeRequest } from '../../src/plan/purge/request.ts'
import { readWorkers } from '../../src/pacing/readings/workers.ts'
import { written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { events, test } from './support.ts'

const OLD = `at < '2026-01-15'`

describe('a table distributed by Citus', () => {
  test('is purged of exactly the rows that match, on all shards', async ({ citus, owner }) => {
    await events(owner)
    const before = await citus.total(owner, 'events')
    const kept = await citus.counts(owner, 'events', 'shards', `(${OLD} and tenant % 3 = 0) is not true`)
    const { figures, remaining } = await citus.purge(
      'events',
      purgeRequest(`${OLD} and tenant % 3 = 0`, { vacuum: true }),
    )
    expect(await citus.counts(owner, 'events', 'shards')).toEqual(kept)
    expect(figures?.rows).toBe(before - kept.reduce((a, b) => a + b))
    expect(remaining).toMatchObject({ matching: 0 })
    const { rows } = await owner.query(`select sum(rows)::int as rows from ${citus.journalSchema}.purge_batch`)
    expect(rows).toEqual([{ rows: figures?.rows }])
    expect((await citus.purge('events', purgeRequest(`${OLD} and tenant % 3 = 0`))).runId).toBeNull()
  })

  test('with partitions, of which only those that can have such rows are gone through', async ({ citus, owner }) => {
    for (const statement of [
      'create table log (tenant int, id bigint, at timestamptz not null) partition by range (at)',
      ...['01', '02', '03', '04'].map(
        (month) =>
          `create table log_${month} partition of log for values from ('2026-${month}-01') to ('2026-0${Number(month) + 1}-01')`,
      ),
      'set citus.shard_count = 4',
      `select create_distributed_table('log', 'tenant')`,
      `insert into log select n % 31, n, '2026-01-01'::timestamptz + n * interval '10 minutes' from generate_series(1, 17000) n`,
    ])
      await owner.query(statement)
    const where = `at < '2026-02-10' and tenant <> 7`
    const plan = await planPurgeOf(citus.url, written(citus.table('log')), purgeRequest(where), citus.options())
    expect(plan.objections).toEqual([])
    expect(plan.purge?.leaves.map(({ name }) => name.name)).toEqual(['log_01', 'log_02'])
    const gone = await citus.total(owner, 'log', where)
    const { figures } = await citus.purge('log', purgeRequest(where, { vacuum: true }))
    expect(figures?.rows).toBe(gone)
    expect([await citus.total(owner, 'log', where), await citus.total(owner, 'log')]).toEqual([0, 17_000 - gone])
  })

  test('reads the condition as the role does, whatever the nodes do by themselves', async ({ citus, owner }) => {
    await events(owner, 1_000)
    const database = new URL(citus.url).pathname.slice(1)
    await owner.query(`alter role current_user in database ${database} set TimeZone = 'Asia/Tokyo'`)
    try {
      const { figures } = await citus.purge('events', purgeRequest(`at < '2026-01-03'`))
      // Midnight in Tokyo, 39 hours after the beginning in UTC.
      expect(figures?.rows).toBe(39 * 6 - 1)
      expect(await citus.total(owner, 'events', 'id < 234')).toBe(0)
    } finally {
      await owner.query(`alter role current_user in database ${database} reset TimeZone`)
    }
  })

  test('goes around a row that is locked on a worker, and comes back to it', async ({ citus, owner }) => {
    await events(owner, 5_000)
    const other = await citus.session()
    await other.query('begin')
    await other.query('select from events where tenant = 5 and id = 5 for update')
    const matching = await citus.total(owner, 'events', OLD)
    const options = { lockLimits: { ...LOCK_LIMITS, deadlineMs: 2_000 } }
    const { figures, remaining } = await citus.purge('events', purgeRequest(OLD), options)
    // One of each shard may be at the same address.
    expect(remaining?.matching).toBeLessThanOrEqual(8)
    expect(figures?.locked).toBe(remaining?.matching)
    expect(await citus.total(owner, 'events', OLD)).toBe(remaining?.matching)
    expect(figures?.rows).toBe(matching - (remaining?.matching ?? 0))
    await other.query('commit')
    await citus.purge('events', purgeRequest(OLD))
    expect(await citus.total(owner, 'events', OLD)).toBe(0)
  })

  test('loses nothing and leaves nothing while a shard is moved to another node', async ({ citus, owner }) => {
    await events(owner)
    const kept = await citus.total(owner, 'events', `(${OLD}) is not true`)
    const { rows } = await owner.query<{ shard: string; host: string; from: number; to: number }>(
      `select s.shardid::text as shard, d.nodename as host, d.nodeport as from, o.nodeport as to from pg_dist_shard s
         join pg_dist_placement p using (shardid) join pg_dist_node d using (groupid) join pg_dist_node o on o.nodeport <> d.nodeport and o.shouldhaveshards
       where s.logicalrelid = 'events'::regclass order by shardid limit 1`,
    )
    const { shard, host, from, to } = rows[0]!
    const mover = await citus.session()
    let batches = 0
    const turn = async () => {
      batches += 1
      if (batches === 3)
        await mover.query(
          `select citus_move_shard_placement(${shard}, '${host}', ${from}, '${host}', ${to}, 'block_writes')`,
        )
      return { rows: 300 }
    }
    const notes: string[] = []
    const result = await citus.purge('events', purgeRequest(OLD), {
      turns: { turn },
      observer: (event) => void (event.type === 'note' && notes.push(event.text)),
    })
    expect(notes.join()).toMatch(/walked once more/)
    expect(result.remaining?.matching).toBe(0)
    expect([await citus.total(owner, 'events', OLD), await citus.total(owner, 'events')]).toEqual([0, kept])
  })

  test('is marked on all shards, and purged of what is marked', async ({ citus, owner }) => {
    await events(owner, 5_000)
    const table = written(citus.table('events'))
    const { figures } = await mark(citus.url, table, markRequest('tenant = 5', 'deleted_at'), citus.options())
    expect(await citus.total(owner, 'events', 'deleted_at is not null')).toBe(figures?.rows)
    expect(await citus.total(owner, 'events', 'tenant = 5 and deleted_at is null')).toBe(0)
    await citus.purge('events', purgeRequest('deleted_at is not null'))
    expect(await citus.total(owner, 'events')).toBe(5_000 - (figures?.rows ?? 0))
  })

  test('is purged of the groups without activity, where they are those of its distribution', async ({
    citus,
    owner,
  }) => {
    await events(owner, 5_000)
    await owner.query('create index on events (tenant, at)')
    await owner.query('update events set at = now() where tenant % 2 = 0 and id < 100')
    const stale = { kind: 'stale', group: 'tenant', activity: 'at', idle: { count: 1, unit: 'hour' } } as const
    await citus.purge('events', purgeRequest(stale))
    expect(await citus.total(owner, 'events', 'tenant % 2 = 1')).toBe(0)
    const { rows } = await owner.query('select count(*)::int as n, count(distinct tenant)::int as tenants from events')
    const even = Array.from({ length: 5_000 }, (_, i) => (i + 1) % 97).filter((tenant) => tenant % 2 === 0)
    expect(rows).toEqual([{ n: even.length, tenants: 49 }])
  })

  test('works on the nodes at the same time', async ({ citus, owner }) => {
    await events(owner, 4_000)
    // Each statement on a shard takes its time.
    await owner.query(
      `create function slow(n bigint) returns boolean immutable language plpgsql as $$ begin perform pg_sleep(0.002); return n % 2 = 0; end $$`,
    )
    const purging = citus.purge('events', purgeRequest(`${citus.schema}.slow(id)`))
    const at = await until(async () => {
      const { rows } = await owner.query<{ nodes: number; statements: number }>(
        `select count(distinct (result::json ->> 'port'))::int as nodes, sum((result::json ->> 'n')::int)::int as statements
         from run_command_on_workers($$select json_build_object('port', current_setting('port'), 'n', count(*)) from pg_stat_activity
           where state = 'active' and query like '%DELETE%events_%slow%' and pid <> pg_backend_pid() having count(*) > 0$$) where success and result <> ''`,
      )
      return (rows[0]?.statements ?? 0) >= 4 && rows[0]?.nodes === 2 ? rows[0] : undefined
    })
    expect(at).toMatchObject({ nodes: 2 })
    await purging
    expect(await citus.total(owner, 'events')).toBe(2_000)
  })

  test('is paced by who waits on the workers', async ({ citus, owner }) => {
    await events(owner, 1_000)
    const [ours, others] = [await citus.session(), await citus.session()]
    await ours.query(`set application_name = 'ebb purge of a test'`)
    await ours.query('begin; update events set note = null where tenant = 5 and id = 5')
    const read = () => readWorkers(owner, 'ebb purge of a test')
    const before = await read()
    expect(before.map(({ load }) => load?.blocked)).toEqual([[], []])
    const waiting = others.query('update events set note = null where tenant = 5 and id = 5')
    const blocked = await until(async () => (await read()).flatMap(({ load }) => load?.blocked ?? [])[0])
    expect(blocked?.milliseconds).toBeGreaterThanOrEqual(0)
    await ours.query('rollback')
    await waiting
  })

  test('is refused what would be half right', async ({ citus, owner }) => {
    await events(owner, 5_000)
    const table = written(citus.table('events'))
    const codes = async (request: PurgeRequest) =>
      (await planPurgeOf(citus.url, table, request, citus.options())).objections.map(({ code }) => code)
    expect(await codes(purgeRequest(OLD, { orderBy: 'at' }))).toEqual(['citus-order-by'])
    const none = archiveTo('file:///tmp/ebb-none')
    expect(await codes(purgeRequest(`at::date = '2026-01-02'`))).toEqual(['citus-condition'])
    const stale = { kind: 'stale', group: 'note', activity: 'at', idle: { count: 1, unit: 'day' } } as const
    await owner.query('create index on events (note, at)')
    expect(await codes(purgeRequest(stale))).toEqual(['citus-condition'])

    await owner.query('create table notes (tenant int, event bigint, foreign key (tenant, event) references events)')
    await owner.query(`select create_distributed_table('notes', 'tenant', colocate_with => 'events')`)
    await owner.query('insert into notes values (5, 5)')
    const [code = ''] = await codes(purgeRequest(OLD))
    expect(code).toMatch(/^citus-reference:.*notes_tenant_event_fkey$/)
    expect(await codes(purgeRequest(OLD, { cascade: true, noArchive: false, archive: none }))).toContain(code)
    // Accepted, the row that is referred to stays, with those of other shards at the same address.
    const { figures, remaining } = await citus.purge('events', purgeRequest(OLD, { accept: [code] }))
    expect(figures?.refused[0]?.why).toBe('a foreign key holds them')
    expect(remaining?.matching).toBeLessThanOrEqual(8)
    expect(await citus.total(owner, 'events', 'tenant = 5 and id = 5')).toBe(1)
    expect(await citus.total(owner, 'events', OLD)).toBe(remaining?.matching)
    await owner.query('drop table notes')
    await owner.query(
      'create table notes (tenant int, event bigint, foreign key (tenant, event) references events on delete cascade)',
    )
    await owner.query(`select create_distributed_table('notes', 'tenant', colocate_with => 'events')`)
    expect(await codes(purgeRequest(OLD, { accept: [code] }))).toEqual([code])
    expect(await codes(purgeRequest(OLD, { cascade: true }))).toContain(code)
  })

  test('that is one shard is purged, and archived before by the way out that is named', async ({ citus, owner }) => {
    await owner.query('create table whole (id bigint primary key, at timestamptz not null)')
    await owner.query(`select create_distributed_table('whole', null, colocate_with => 'none')`)
    await owner.query(
      `insert into whole select n, '2026-01-01'::timestamptz + n * interval '1 hour' from generate_series(1, 1000) n`,
    )
    const folder = await archiveFolder()
    try {
      const [table, to] = [written(citus.table('whole')), archiveTo(folder.uri)]
      const both = purgeRequest(OLD, { noArchive: false, archive: to })
      const { objections } = await planPurgeOf(citus.url, table, both, citus.options())
      expect(objections.map(({ code }) => code)).toEqual(['citus-archive'])
      const { receipt } = await carryOut(citus.url, table, archive, { where: OLD, to }, citus.options())
      const { figures } = await citus.purge('whole', purgeRequest(OLD))
      expect([receipt.rows, figures?.rows]).toEqual([335, 335])
      expect(await citus.total(owner, 'whole')).toBe(665)
    } finally {
      await folder.close()
    }
  })
})

describe('another table on a coordinator of Citus', () => {
  test('a reference table: the same rows go from each copy', async ({ citus, owner }) => {
    await owner.query('create table ref (id int primary key, name text)')
    await owner.query(`select create_reference_table('ref')`)
    await owner.query(`insert into ref select n, 'r' || n from generate_series(1, 3000) n`)
    // Rows of the copies are at other addresses.
    await owner.query('update ref set name = name || id where id % 7 = 0')
    const { figures } = await citus.purge('ref', purgeRequest('id % 3 = 0'), { turns: batchesOf(70) })
    expect(figures?.rows).toBe(1_000)
    const copies = await citus.counts(owner, 'ref', 'placements')
    expect(copies.length).toBeGreaterThan(1)
    expect(new Set(copies)).toEqual(new Set([2_000]))
    expect(new Set(await citus.counts(owner, 'ref', 'placements', 'id % 3 = 0'))).toEqual(new Set([0]))
    await owner.query('create table bare (id int)')
    await owner.query(`select create_reference_table('bare')`)
    await owner.query(`insert into bare select generate_series(1, 100)`)
    const { objections } = await planPurgeOf(
      citus.url,
      written(citus.table('bare')),
      purgeRequest('id < 5'),
      citus.options(),
    )
    expect(objections.map(({ code }) => code)).toEqual(['citus-key'])
  })

  test('a local one that Citus manages, and one that it does not know', async ({ citus, owner }) => {
    for (const name of ['managed', 'plain']) {
      await owner.query(`create table ${name} (id int primary key)`)
      await owner.query(`insert into ${name} select generate_series(1, 1000)`)
      await owner.query(`analyze ${name}`)
    }
    await owner.query(`select citus_add_local_table_to_metadata('managed')`)
    for (const name of ['managed', 'plain']) {
      const { figures, remaining } = await citus.purge(name, purgeRequest('id % 4 = 0', { vacuum: true }))
      expect([figures?.rows, remaining?.matching]).toEqual([250, 0])
      expect((await owner.query(`select count(*)::int as n from ${name}`)).rows).toEqual([{ n: 750 }])
    }
  })
})
