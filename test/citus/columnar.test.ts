import { describe, expect, inject } from 'vitest'
import { rotate, type SetReport } from '../../src/engine/commands/rotate.ts'
import type { Emit } from '../../src/events.ts'
import { rightBefore } from '../engine/move-support.ts'
import { citusTest as test, type Cluster } from '../support/citus.ts'
import { Machine } from '../support/machine.ts'
import { purge } from '../support/commands.ts'
import { purgeRequest } from '../support/purging.ts'
import { quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { asked, events, isWaitingFor, rotateEvents, readOnAllNodes } from './rotating.ts'

// Partitions rewritten in columns on a real Citus: EBB_TEST_CITUS_URL.

const COLUMNAR = { retire: 'columnar' } as const

/** What the rows are, on all nodes together, and which partitions are columnar. */
async function rowsOf(cluster: Cluster) {
  const [row] = await cluster.admin<{ rows: string; columnar: string[]; others: string[] }>(
    `select (select concat(count(*), ' ', sum(hashtextextended(concat_ws(' ', tenant_id, extract(epoch from at), v), 0)::numeric)) from events) as rows,
       array(select c.relname::text from pg_inherits join pg_class c on c.oid = inhrelid join pg_am m on m.oid = c.relam
         where inhparent = 'events'::regclass and amname = 'columnar' order by 1) as columnar,
       array(select c.relname::text from pg_class c where c.relnamespace = '${cluster.schema}'::regnamespace and relkind = 'r' and not relispartition order by 1) as others`,
  )
  return row!
}

function errorsOf({ failed }: SetReport): string[] {
  return failed.map(({ error }) => error.message)
}

describe('expired partitions', () => {
  test('become columnar where they are, with all their rows, once; and are dropped later', async ({ cluster }) => {
    await events(cluster)
    await cluster.admin('create index on events (at)')
    const before = await rowsOf(cluster)
    const report = await rotateEvents(cluster, COLUMNAR)
    expect(errorsOf(report)).toEqual([])
    expect(report.retired.map(({ outcome }) => outcome)).toEqual(['rewritten', 'rewritten', 'rewritten'])
    expect(await rowsOf(cluster)).toEqual({
      rows: before.rows,
      columnar: ['events_0', 'events_1', 'events_2'],
      others: [],
    })
    const left = await cluster.admin(`select count(*)::int as left from ${cluster.journalSchema}.retirement`)
    expect(left).toEqual([{ left: 0 }])
    const again = await rotateEvents(cluster, COLUMNAR)
    expect([again.retired, again.plan?.retire, errorsOf(again)]).toEqual([[], [], []])
    // What is not columnar can be purged beside them.
    const since = new Date(Date.now() - 40 * 86_400_000).toISOString()
    const where = `at >= '${since}' and tenant_id = 3`
    const { figures, remaining } = await purge(
      cluster.url,
      written(cluster.table('events')),
      purgeRequest(where),
      quietly({ journalSchema: cluster.journalSchema }),
    )
    expect([(figures?.rows ?? 0) > 0, remaining?.matching]).toEqual([true, 0])
    // A late row is added, as to any other partition.
    await cluster.admin(`insert into events select 7, now() - interval '4 months', 'late'`)
    const dropped = await rotateEvents(cluster, { keep: '4 months' })
    expect(dropped.retired.map(({ partition, outcome }) => [partition.name, outcome])).toEqual([
      ['events_0', 'dropped'],
    ])
    expect((await rowsOf(cluster)).columnar).toEqual(['events_1', 'events_2'])
  })

  test('are copied again if somebody writes to one through a worker meanwhile', async ({ cluster }) => {
    await events(cluster)
    const [worker = ''] = await cluster.workers()
    const [reader, writer] = [await cluster.session(), await cluster.session(worker)]
    const options = quietly({ journalSchema: cluster.journalSchema })
    await reader.query('begin')
    await reader.query(`select count(*) from ${cluster.schema}.events`)
    const rotating = rotate(cluster.url, asked(cluster, COLUMNAR), options)
    // The copy is made, and waits for the reader.
    await until(() => isWaitingFor(options.events, /for pid \d+.*idle in transaction/), { timeoutMs: 60_000 })
    await writer.query(`insert into ${cluster.schema}.events select 7, now() - interval '5 months', 'late'`)
    await writer.query(
      `update ${cluster.schema}.events set v = 'other' where tenant_id = 8 and at < now() - interval '4 months'`,
    )
    await writer.query(`delete from ${cluster.schema}.events where tenant_id = 9 and at < now() - interval '4 months'`)
    const before = await rowsOf(cluster)
    await reader.query('commit')
    const { sets } = await rotating
    expect(errorsOf(sets[0]!)).toEqual([])
    const notes = options.events.flatMap((event) => (event.type === 'note' ? [event.text] : []))
    expect(
      notes.filter((text) => /written to, or altered, while it was copied: it is copied again/.test(text)),
    ).toHaveLength(1)
    expect(await rowsOf(cluster)).toMatchObject({ rows: before.rows, columnar: ['events_0', 'events_1', 'events_2'] })
  })

  test('take no row along that has come and gone while they were copied', async ({ cluster }) => {
    await events(cluster)
    const before = await rowsOf(cluster)
    const writer = await cluster.session()
    const insert = () =>
      writer.query(`insert into ${cluster.schema}.events select 7, now() - interval '5 months', 'passing'`)
    const remove = () => writer.query(`delete from ${cluster.schema}.events where v = 'passing'`)
    const ours = ({ database }: { readonly database?: string | undefined }) => database === 'test'
    await rightBefore(/^insert into .*_columnar" /, ours, insert, () =>
      rightBefore(/^analyze .*_columnar"/, ours, remove, async () => {
        expect(errorsOf(await rotateEvents(cluster, COLUMNAR))).toEqual([])
      }),
    )
    expect(await rowsOf(cluster)).toMatchObject({ rows: before.rows, columnar: ['events_0', 'events_1', 'events_2'] })
  })

  test('wait until shards in the same places have been moved', async ({ cluster }) => {
    await events(cluster)
    const before = await rowsOf(cluster)
    const mover = await cluster.session()
    await mover.query('begin')
    await mover.query(`
      select citus_move_shard_placement(s.shardid, d.nodename, d.nodeport, o.nodename, o.nodeport, 'block_writes')
      from pg_dist_shard s join pg_dist_placement p using (shardid) join pg_dist_node d using (groupid)
        join pg_dist_node o on o.groupid not in (0, d.groupid)
      where s.logicalrelid = '${cluster.schema}.events_4'::regclass order by s.shardid limit 1`)
    const options = quietly({ journalSchema: cluster.journalSchema })
    const rotating = rotate(cluster.url, asked(cluster, COLUMNAR), options)
    await until(() => isWaitingFor(options.events, /^could not acquire the lock required to /), { timeoutMs: 60_000 })
    await mover.query('rollback')
    const { sets } = await rotating
    expect(errorsOf(sets[0]!)).toEqual([])
    expect(await rowsOf(cluster)).toMatchObject({ rows: before.rows, columnar: ['events_0', 'events_1', 'events_2'] })
  })

  test('lose nothing that a node has prepared and not committed', async ({ cluster }) => {
    await events(cluster)
    const [worker = ''] = await cluster.workers()
    const writer = await cluster.session(worker)
    const { rows } = await writer.query<{ shard: string }>(
      `select shard_name(s.logicalrelid, s.shardid) as shard from pg_dist_shard s join pg_dist_placement using (shardid) join pg_dist_local_group using (groupid)
       where s.logicalrelid = '${cluster.schema}.events_0'::regclass limit 1`,
    )
    await writer.query(`set citus.override_table_visibility to off; set citus.enable_manual_changes_to_shards to on`)
    await writer.query('begin')
    await writer.query(`update ${rows[0]!.shard} set v = 'prepared'`)
    const gid = `of a test ${cluster.schema}`
    await writer.query(`prepare transaction '${gid}'`)
    const options = quietly({ journalSchema: cluster.journalSchema })
    const rotating = rotate(cluster.url, asked(cluster, COLUMNAR), options)
    try {
      await until(() => isWaitingFor(options.events, /prepared transaction .*of a test/), { timeoutMs: 60_000 })
    } finally {
      await writer.query(`commit prepared '${gid}'`)
    }
    const { sets } = await rotating
    expect(errorsOf(sets[0]!)).toEqual([])
    const [row] = await cluster.admin<{ n: number }>(`select count(*)::int as n from events where v = 'prepared'`)
    expect(row?.n).toBeGreaterThan(0)
    expect((await rowsOf(cluster)).columnar).toHaveLength(3)
  })

  test('are left as they are by a rotation that is killed, which the next one continues', async ({ cluster }) => {
    await events(cluster)
    const before = await rowsOf(cluster)
    // With the copy there, and not in its place.
    const reader = await cluster.session()
    await reader.query('begin')
    await reader.query(`select count(*) from ${cluster.schema}.events`)
    const options = quietly({ journalSchema: cluster.journalSchema })
    const killed = rotate(cluster.url, asked(cluster, COLUMNAR), options)
    await until(() => isWaitingFor(options.events, /for pid \d+.*idle in transaction/), { timeoutMs: 60_000 })
    await cluster.admin(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'ebb%' and pid <> pg_backend_pid() and query like '%${cluster.schema}%'`,
    )
    await killed.catch(() => {})
    expect(await rowsOf(cluster)).toEqual({ ...before, others: ['events_0_columnar'] })
    await reader.query('commit')
    // With the copy in its place, and what it has replaced still there.
    const stop = new AbortController()
    const observer: Emit = (event) => {
      if (event.type === 'step started' && event.step.key.startsWith('drop:') && event.step.title.includes('_rows'))
        stop.abort()
    }
    await rotateEvents(cluster, COLUMNAR, { observer, signal: stop.signal }).catch(() => {})
    expect(await rowsOf(cluster)).toEqual({ rows: before.rows, columnar: ['events_0'], others: ['events_0_rows'] })
    const report = await rotateEvents(cluster, COLUMNAR)
    expect(errorsOf(report)).toEqual([])
    expect(report.retired).toHaveLength(2)
    expect(await rowsOf(cluster)).toEqual({
      rows: before.rows,
      columnar: ['events_0', 'events_1', 'events_2'],
      others: [],
    })
  })

  test('of a local table become columnar, too', async ({ cluster }) => {
    await events(cluster)
    const before = await rowsOf(cluster)
    await cluster.admin(`select undistribute_table('events')`)
    expect(errorsOf(await rotateEvents(cluster, COLUMNAR))).toEqual([])
    expect(await rowsOf(cluster)).toEqual({
      rows: before.rows,
      columnar: ['events_0', 'events_1', 'events_2'],
      others: [],
    })
  })

  test('keep no reader waiting for longer than a quarter of a second', async ({ cluster, skip }) => {
    await events(cluster)
    const machine = new Machine(cluster.url, inject('compiled'))
    const stop = new AbortController()
    const readers = await readOnAllNodes(cluster, stop.signal)
    const report = await rotateEvents(cluster, COLUMNAR)
    stop.abort()
    const longest = await Promise.all(readers)
    expect(report.retired).toHaveLength(3)
    console.log(
      `readers waited for ${longest.map(Math.round).join(', ')} ms; ${Math.round(report.longestWaitCausedMs)} as reported`,
    )
    await machine.judge(() => expect(Math.max(...longest)).toBeLessThan(250), skip)
    await machine.end()
  })
})
