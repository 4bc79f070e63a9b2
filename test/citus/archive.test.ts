import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect } from 'vitest'
import { archive } from '../../src/engine/commands/archive.ts'
import { planCommand } from '../../src/engine/plan-command.ts'
import { carryOut } from '../../src/engine/run.ts'
import type { Receipt } from '../../src/plan/archive/receipt.ts'
import { rightBefore } from '../engine/move-support.ts'
import { archivedRows, archiveFolder, archiveTo } from '../support/archiving.ts'
import { citusTest as test, type Cluster } from '../support/citus.ts'
import { quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { events, isWaitingFor, rotateEvents } from './rotating.ts'

// Archives of tables that a real Citus stores: EBB_TEST_CITUS_URL.

let folder: Awaited<ReturnType<typeof archiveFolder>>
beforeEach(async () => void (folder = await archiveFolder()))
afterEach(() => folder.close())

const OURS = ({ database }: { readonly database?: string | undefined }) => database === 'test'

/** Statements of an archive, in their order: when the fingerprint has been taken, and when all rows have been read. */
const READS = /^lock table .* in access share mode$/
const HAS_READ = /run_command_on_all_nodes/

function options(cluster: Cluster) {
  return quietly({ journalSchema: cluster.journalSchema })
}

function archiving(cluster: Cluster, name: string, where: string | null = null, how = options(cluster)) {
  return carryOut(cluster.url, written(cluster.table(name)), archive, { where, to: archiveTo(folder.uri) }, how)
}

/** The rows that an archive has, in the order of their text. */
async function rowsIn(uri: string): Promise<string[]> {
  const receipt = JSON.parse(await readFile(fileURLToPath(uri), 'utf8')) as Receipt
  return (await archivedRows(folder.path, receipt)).toSorted()
}

/** The same of a table, as PostgreSQL writes it. */
async function rowsOf(cluster: Cluster, name: string, where = 'true'): Promise<string[]> {
  const rows = await cluster.admin<{ row: string }>(
    `select concat_ws(',', tenant_id, to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || '+00', v) as row from ${name} where ${where}`,
  )
  return rows.map(({ row }) => row).toSorted()
}

/** What a node has prepared of a transaction, and not committed: of one shard of a table. */
async function prepareOnWorker(cluster: Cluster, name: string): Promise<() => Promise<void>> {
  const [worker = ''] = await cluster.workers()
  const writer = await cluster.session(worker)
  const { rows } = await writer.query<{ shard: string }>(
    `select shard_name(s.logicalrelid, s.shardid) as shard from pg_dist_shard s join pg_dist_placement using (shardid) join pg_dist_local_group using (groupid)
     where s.logicalrelid = '${cluster.schema}.${name}'::regclass limit 1`,
  )
  await writer.query(`set citus.override_table_visibility to off; set citus.enable_manual_changes_to_shards to on`)
  await writer.query('begin')
  await writer.query(`update ${rows[0]!.shard} set v = 'prepared'`)
  await writer.query(`prepare transaction 'of a test ${cluster.schema}'`)
  return async () => void (await writer.query(`commit prepared 'of a test ${cluster.schema}'`))
}

describe('rows that Citus stores are archived', () => {
  test('all of a table, some of it, and those of one partition, under one receipt each', async ({ cluster }) => {
    await events(cluster)
    const plan = await planCommand(
      cluster.url,
      written(cluster.table('events')),
      archive,
      { where: null, to: archiveTo(folder.uri) },
      options(cluster),
    )
    expect(plan.objections).toEqual([])
    expect(plan.evidence[0]).toMatch(/of \d.* kB with indexes$/)
    for (const [name, where] of [
      ['events', null],
      ['events', `tenant_id < 5 and at < now() - interval '70 days'`],
      ['events_2', null],
    ] as const) {
      const { receipt } = await archiving(cluster, name, where)
      const rows = await rowsOf(cluster, name, where ?? 'true')
      expect(rows.length).toBeGreaterThan(0)
      expect(await rowsIn(receipt.uri)).toEqual(rows)
    }
    await cluster.admin('create table kinds (tenant_id int primary key, at timestamptz, v text)')
    await cluster.admin(`select create_reference_table('kinds')`)
    await cluster.admin(`insert into kinds select i, now(), 'x' from generate_series(1, 50) i`)
    const { receipt } = await archiving(cluster, 'kinds')
    expect(receipt.rows).toBe(50)
  })

  test('only as they were all the time: what comes, or comes and goes, is noticed', async ({ cluster }) => {
    await events(cluster)
    const writer = await cluster.session()
    const insert = () =>
      writer.query(
        `insert into ${cluster.schema}.events select 7, date_trunc('second', now()) - interval '5 months', 'late'`,
      )
    const remove = () => writer.query(`delete from ${cluster.schema}.events where v = 'late'`)
    const notes: string[][] = []
    const archived = async () => {
      const how = options(cluster)
      const { receipt } = await archiving(cluster, 'events', null, how)
      notes.push(how.events.flatMap((event) => (event.type === 'note' ? [event.text] : [])))
      expect(await rowsIn(receipt.uri)).toEqual(await rowsOf(cluster, 'events'))
    }
    await rightBefore(READS, OURS, insert, archived)
    await rightBefore(HAS_READ, OURS, () => writer.query(`update ${cluster.schema}.events set v = 'y'`), archived)
    await remove()
    await rightBefore(READS, OURS, insert, () => rightBefore(HAS_READ, OURS, remove, archived))
    const again = expect.stringMatching(/events was written to while it was archived: it is archived again$/) as string
    expect(notes.map(([first]) => first)).toEqual([again, again, again])
  })

  test('not while a node has prepared what another may have committed', async ({ cluster }) => {
    await events(cluster)
    const commit = await prepareOnWorker(cluster, 'events_2')
    try {
      await expect(archiving(cluster, 'events')).rejects.toMatchObject({
        kind: 'try later',
        message: expect.stringMatching(
          /was written to while it was archived: prepared transaction "of a test/,
        ) as string,
      })
    } finally {
      await commit()
    }
    const { receipt } = await archiving(cluster, 'events')
    expect(await rowsIn(receipt.uri)).toEqual(await rowsOf(cluster, 'events'))
  })

  test('not of columnar partitions, which have no row versions', async ({ cluster }) => {
    await events(cluster)
    await cluster.admin(`select alter_table_set_access_method('events_0', 'columnar')`)
    await expect(archiving(cluster, 'events')).rejects.toThrow(/events_0 is columnar/)
    expect((await archiving(cluster, 'events_1')).receipt.rows).toBeGreaterThan(0)
  })
})

describe('expired partitions that Citus stores', () => {
  test('are dropped with a receipt that has exactly their rows', async ({ cluster }) => {
    await events(cluster)
    const leaves = ['events_0', 'events_1', 'events_2']
    const before: string[][] = []
    for (const name of leaves) before.push(await rowsOf(cluster, name))
    const report = await rotateEvents(cluster, { archive: archiveTo(folder.uri), noArchive: false })
    expect(report.failed.map(({ error }) => error.message)).toEqual([])
    expect(report.retired.map(({ partition, outcome }) => [partition.name, outcome])).toEqual(
      leaves.map((name) => [name, 'dropped']),
    )
    const archived = await Promise.all(report.retired.map(({ receipt }) => rowsIn(receipt ?? '')))
    expect(archived).toEqual(before)
    const left = await cluster.admin(`select count(*)::int as left from ${cluster.journalSchema}.retirement`)
    expect(left).toEqual([{ left: 0 }])
  })

  test('are archived again if somebody writes to one by its name, through a worker', async ({ cluster }) => {
    await events(cluster)
    const [worker = ''] = await cluster.workers()
    const writer = await cluster.session(worker)
    const how = options(cluster)
    const rows: string[][] = []
    const write = async () => {
      await writer.query(
        `insert into ${cluster.schema}.events_0 select 7, date_trunc('second', now()) - interval '5 months', 'late'`,
      )
      rows.push(await rowsOf(cluster, 'events_0'))
    }
    // It has its receipt, and is to be dropped.
    await rightBefore(/^lock table .*events_0" in access exclusive mode$/, OURS, write, async () => {
      const report = await rotateEvents(cluster, { archive: archiveTo(folder.uri), noArchive: false }, how)
      expect(report.failed.map(({ error }) => error.message)).toEqual([])
      expect(await rowsIn(report.retired[0]?.receipt ?? '')).toEqual(rows[0])
    })
    const notes = how.events.flatMap((event) => (event.type === 'note' ? [event.text] : []))
    expect(notes.filter((text) => /events_0 was written to.*: it is archived again/.test(text))).toHaveLength(1)
  })

  test('are not dropped while a node has prepared a write to one', async ({ cluster }) => {
    await events(cluster)
    const how = options(cluster)
    let commit = () => Promise.resolve()
    const prepare = async () => {
      const committing = await prepareOnWorker(cluster, 'events_0')
      let committed: Promise<void> | undefined
      commit = () => (committed ??= committing())
    }
    const rotating = async () => {
      void until(() => isWaitingFor(how.events, /prepared transaction .*of a test/), { timeoutMs: 60_000 }).then(() =>
        commit(),
      )
      const report = await rotateEvents(cluster, { archive: archiveTo(folder.uri), noArchive: false }, how)
      expect(report.failed.map(({ error }) => error.message)).toEqual([])
      expect((await rowsIn(report.retired[0]?.receipt ?? '')).some((text) => text.endsWith(',prepared'))).toBe(true)
    }
    // It comes when the lock is there, and would be gone when the shards are locked.
    await rightBefore(/^lock table .*events_0" in access exclusive mode$/, OURS, prepare, () =>
      rightBefore(/^drop table .*events_0"/, OURS, () => commit(), rotating),
    )
  })
})
