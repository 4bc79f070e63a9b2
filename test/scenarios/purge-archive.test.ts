import { afterAll, beforeAll, describe, expect } from 'vitest'
import { mkdirSync } from 'node:fs'
import { readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { PurgeResult } from '../../src/engine/commands/purge.ts'
import { abandon } from '../../src/engine/runs/runs.ts'
import type { PurgeRequest } from '../../src/plan/purge/request.ts'
import { describePurged } from '../../src/report/purged.ts'
import type { StoredTableRemoval } from '../../src/plan/archive/removal.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { raw, sql, type Sql } from '../../src/sql/sql.ts'
import { archivesIn, type FoundArchive } from '../support/archived-contents.ts'
import { archivedRows, archiveFolder, archiveTo } from '../support/archiving.ts'
import { planPurgeOf, writeCandidates } from '../support/commands.ts'
import { test, type Database } from '../support/database.ts'
import { batchesOf, contentOf, purgeRequest, purgeRows } from '../support/purging.ts'
import { quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'

// Between any two steps of a purge with an archive rows are changed, and the run is stopped and resumed.

let folder: Awaited<ReturnType<typeof archiveFolder>>
beforeAll(async () => void (folder = await archiveFolder()))
afterAll(() => folder.close())

const SMALL = { turns: batchesOf(70) }

async function visits(database: Database, rows = 300, further = ''): Promise<TableName> {
  const table = database.table('visits')
  const owner = await database.session('setup')
  const place = quoted(table)
  await owner.query(sql`create table ${place} (id bigint primary key, t text, amount numeric, at timestamptz)`.text)
  await owner.query(
    sql`insert into ${place} select n, 'visit ' || n, n / 10.0, '2026-01-01 00:00+00'::timestamptz + n * interval '1 minute' from generate_series(1, ${raw(String(rows))}) n`
      .text,
  )
  if (further !== '') await owner.query(further.replaceAll('TABLE', place.text))
  await owner.query(sql`analyze ${place}`.text)
  return table
}

/** In a folder of its own. */
function archived(
  name: string,
  where: string | null = 'id % 3 = 0',
  changes: Partial<PurgeRequest> = {},
): PurgeRequest {
  mkdirSync(`${folder.path}/${name}`, { recursive: true })
  return purgeRequest(where ?? '', { noArchive: false, archive: archiveTo(`${folder.uri}/${name}`), ...changes })
}

async function onlyArchive(
  name: string,
): Promise<FoundArchive & { readonly ids: number[]; readonly removed: StoredTableRemoval | undefined }> {
  const { archives, leftovers } = await archivesIn(`${folder.path}/${name}`)
  expect(leftovers).toEqual([])
  expect(archives).toHaveLength(1)
  const rows = await archivedRows(`${folder.path}/${name}`, archives[0]!.receipt)
  const removed = archives[0]!.removal?.tables[0]
  return { ...archives[0]!, removed, ids: rows.map((row) => Number(row.split(',')[0])).sort((a, b) => a - b) }
}

/** Stops before a step, as by Ctrl-C. */
async function stopBefore(key: string, database: Database, table: TableName, request: PurgeRequest): Promise<void> {
  const stop = new AbortController()
  const observer = (event: { type: string; step?: { key: string } }) => {
    if (event.type === 'step started' && event.step?.key === key) stop.abort()
  }
  const stopped = purgeRows(database, table, request, { ...SMALL, signal: stop.signal, observer })
  await expect(stopped).rejects.toMatchObject({ kind: 'stopped' })
}

const multiples = (upto: number, ...without: number[]) =>
  Array.from({ length: upto / 3 }, (_, i) => 3 * (i + 1)).filter((n) => !without.includes(n))

async function idsOf(database: Database, table: TableName): Promise<number[]> {
  const { rows } = await database.admin<{ id: string }>(
    sql`select id from ${quoted(table)} where id % 3 = 0 order by id`,
  )
  return rows.map(({ id }) => Number(id))
}

/** Of the run that is under way. */
async function listOf(database: Database): Promise<Sql> {
  const { rows } = await database.admin<{ name: string }>(
    `select relname as name from pg_class where relname ~ '^purge_keys_' and relkind = 'r'`,
  )
  return quoted({ schema: 'ebb', name: rows[0]!.name })
}

async function keyTables(database: Database): Promise<number> {
  return (await database.admin(`select from pg_class where relname ~ '^purge_keys_' and relkind = 'r'`)).rows.length
}

test('exactly the rows that are deleted are archived', async ({ database }) => {
  const table = await visits(database)
  const kept = await contentOf(database, table, 'id % 3 = 0')
  const result = await purgeRows(database, table, archived('plain'), SMALL)
  expect(await contentOf(database, table)).toEqual(kept)
  expect(result.figures).toMatchObject({ rows: 100, batches: 2 })
  expect(result.remaining).toMatchObject({ matching: 0, left: { rows: 0, changed: 0, gone: 0 } })
  const { receipt, removal, removed, ids } = await onlyArchive('plain')
  expect(ids).toEqual(multiples(300))
  expect(receipt.run).toMatchObject({ command: 'purge', id: result.runId, approvedBy: null })
  expect(receipt.tables).toMatchObject([{ rows: 100, where: 'id % 3 = 0' }])
  expect(result.archive).toMatchObject({ rows: 100, uri: expect.stringContaining(receipt.id) as string })
  const { uri, sha256 } = result.archive!
  expect(removal).toMatchObject({ format: 2, receipt: { uri, sha256 }, how: 'deleted', batches: 2 })
  const { schema, name } = table
  expect(removed).toEqual({ schema, name, archived: 100, deleted: 100, kept: 0, key: ['id'], keptKeys: [] })
  expect(await keyTables(database)).toBe(0)
  expect(describePurged(result)).toEqual(expect.arrayContaining(['All archived rows are deleted.']))
})

test('what is changed after it was archived stays, and is told, also if it is changed back', async ({ database }) => {
  const table = await visits(database)
  const place = quoted(table)
  const request = archived('changes')
  await stopBefore('archive', database, table, request)
  await database.admin(sql`update ${place} set t = 'as archived' where id = 9`)
  await database.admin(sql`delete from ${place} where id in (6, 15)`)
  await stopBefore('purge', database, table, request)
  for (const statement of [
    sql`update ${place} set t = 'changed' where id = 21`,
    sql`delete from ${place} where id = 24`,
    sql`update ${place} set t = 'changed' where id = 27`,
    sql`update ${place} set t = 'visit 27' where id = 27`,
    sql`with one as (delete from ${place} where id = 30 returning *) select * from one`,
    sql`insert into ${place} select 30, 'visit 30', 3.0, '2026-01-01 00:30+00'`,
    sql`insert into ${place} values (3000, 'late', 1, now())`,
  ])
    await database.admin(statement)
  const result = await purgeRows(database, table, request, SMALL)
  const { removed, ids } = await onlyArchive('changes')
  expect(ids).toEqual(multiples(300, 6, 15))
  expect(await idsOf(database, table)).toEqual([21, 27, 30, 3000])
  expect(result.figures?.rows).toBe(94)
  expect(result.remaining).toMatchObject({ matching: 4, left: { rows: 4, matching: 0, changed: 3, gone: 1 } })
  expect(removed).toMatchObject({ archived: 98, deleted: 94, kept: 4 })
  expect(removed!.keptKeys.toSorted()).toEqual([['21'], ['24'], ['27'], ['30']])
  const told = describePurged(result).join('\n')
  expect(told).toContain('Archived, and not deleted: 4 rows')
  expect(told).toContain('changed since, and kept: 3 rows')
  expect(told).toContain('match: 4 rows')
})

test('what is listed is what is sent, though what decides it changes between the two', async ({ database }) => {
  const table = await visits(database)
  const flagged = quoted({ schema: table.schema, name: 'flagged' })
  const isFlagged = quoted({ schema: table.schema, name: 'is_flagged' }).text
  await (
    await database.session('setup')
  )
    .query(`create table ${flagged.text} as select 3 as id; create function ${isFlagged}(bigint) returns boolean stable language sql
    as $$ select exists (select from ${flagged.text} f where f.id = $1) $$`)
  const request = archived('snapshot', `${isFlagged}(id)`)
  await stopBefore('archive', database, table, request)
  // Filling the list gets past this lock, and analysing it, which comes next, does not.
  const other = await database.session('other')
  await other.query(sql`begin; lock table ${await listOf(database)} in share update exclusive mode`.text)
  const stopped = stopBefore('purge', database, table, request)
  const analyses = sql`select 1 as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like 'analyze%'`
  await until(async () => (await database.admin(analyses)).rows.length === 1, { what: 'the list to be analysed' })
  await other.query(sql`update ${flagged} set id = 6; commit`.text)
  await stopped
  await database.admin(sql`update ${flagged} set id = 3`)
  await purgeRows(database, table, request, SMALL)
  const { removed, ids } = await onlyArchive('snapshot')
  expect(removed).toMatchObject({ archived: 1, deleted: 1 })
  expect(await idsOf(database, table)).toEqual(multiples(300, ...ids))
})

test('a row that takes the place of an archived one stays', async ({ database }) => {
  const table = await visits(database)
  const place = quoted(table)
  const request = archived('place')
  const addressOf = async (id: number) =>
    (await database.admin<{ at: string }>(sql`select ctid::text as at from ${place} where id = ${id}`)).rows[0]?.at
  await stopBefore('purge', database, table, request)
  const before = await addressOf(12)
  await database.admin(sql`delete from ${place} where id = 12`)
  await database.admin(`vacuum (truncate false) ${place.text}`)
  await database.admin(sql`insert into ${place} values (1200, 'never archived', 1, now())`)
  expect(await addressOf(1200)).toBe(before)
  const result = await purgeRows(database, table, request, SMALL)
  expect(await idsOf(database, table)).toEqual([1200])
  expect(result.remaining).toMatchObject({ matching: 1, left: { rows: 1, gone: 1 } })
})

test('stopped between two batches it resumes with what is listed, and nothing else', async ({ database }) => {
  const table = await visits(database)
  const request = archived('between')
  const stop = new AbortController()
  const observer = (event: { type: string; progress?: { what: string }; phase?: string | null }) => {
    if ((event.progress?.what ?? event.phase ?? '').startsWith('deleting')) stop.abort()
  }
  const stopped = purgeRows(database, table, request, { ...SMALL, signal: stop.signal, observer })
  await expect(stopped).rejects.toMatchObject({ kind: 'stopped' })
  expect(await idsOf(database, table)).toHaveLength(30)
  await database.admin(sql`insert into ${quoted(table)} values (1200, 'never archived', 1, now())`)
  await purgeRows(database, table, request, SMALL)
  expect(await idsOf(database, table)).toEqual([1200])
  expect((await onlyArchive('between')).removed).toMatchObject({ archived: 100, deleted: 100, kept: 0 })
})

test('a row that is changed while its batch waits for it stays', async ({ database }) => {
  const table = await visits(database)
  const request = archived('waits')
  await stopBefore('purge', database, table, request)
  const writer = await database.session('writer')
  await writer.query(sql`begin; update ${quoted(table)} set t = 'changed' where id = 9`.text)
  const observer = (event: { type: string }) => {
    if (event.type === 'waiting') void writer.query('commit').catch(() => {})
  }
  const result = await purgeRows(database, table, request, { ...SMALL, observer })
  expect(await idsOf(database, table)).toEqual([9])
  expect(result.remaining).toMatchObject({ left: { rows: 1, changed: 1 } })
})

describe('a table that changes as a whole after its rows were archived keeps them:', () => {
  for (const [what, change] of [
    // Of the rows that go before it, so that others take their addresses; all have the same xmin.
    ['rewritten', `delete from TABLE where id % 3 = 1; vacuum full TABLE`],
    ['altered', `alter table TABLE add note text default 'of all rows'`],
  ] as const)
    test(what, async ({ database }) => {
      const table = await visits(database)
      await stopBefore('purge', database, table, archived(what))
      for (const statement of change.split('; ')) await database.admin(statement.replace('TABLE', quoted(table).text))
      const before = await contentOf(database, table)
      const result = await purgeRows(database, table, archived(what), SMALL)
      expect(await contentOf(database, table)).toEqual(before)
      expect(result.remaining).toMatchObject({ matching: 100, left: { rows: 100 } })
      expect((await onlyArchive(what)).removed).toMatchObject({ archived: 100, deleted: 0, kept: 100 })
    })
})

test('in partitions, and by an index', async ({ database }) => {
  const table = database.table('readings')
  const place = quoted(table)
  const [low, high] = ['low', 'high'].map((name) => quoted({ schema: table.schema, name }).text)
  const statements = `create table ${place.text} (id int, k text, v int, primary key (id, k)) partition by range (id);
    create table ${low} partition of ${place.text} for values from (0) to (5000);
    create table ${high} partition of ${place.text} for values from (5000) to (20000); create index on ${place.text} (v);
    insert into ${place.text} select n, 'k,"' || n, n % 5000 from generate_series(0, 9999) n; analyze ${place.text}`
  await (await database.session('setup')).query(statements)
  const request = archived('partitions', 'v between 10 and 19')
  await stopBefore('purge', database, table, request)
  await database.admin(sql`update ${place} set v = v where id in (12, 5013)`)
  const result = await purgeRows(database, table, request, { turns: batchesOf(3) })
  expect(result.figures?.rows).toBe(18)
  const { receipt, removed } = await onlyArchive('partitions')
  expect(receipt.tables[0]).toMatchObject({ rows: 20, key: { first: ['10', 'k,"10'], last: ['5019', 'k,"5019'] } })
  expect(removed).toMatchObject({ deleted: 18, key: ['id', 'k'], kept: 2 })
  expect(removed!.keptKeys.toSorted()).toEqual([
    ['12', 'k,"12'],
    ['5013', 'k,"5013'],
  ])
})

describe('killed', () => {
  test('between the receipt and its entry in the journal, no row is archived twice', async ({ database }) => {
    const table = await visits(database)
    for (const [name, forget] of [
      ['step', `delete from ebb.step where key = 'archive'`],
      [
        'receipt',
        `delete from ebb.step where key = 'archive'; update ebb.archive set receipt_uri = null, receipt_sha256 = null`,
      ],
    ] as const) {
      const request = archived(name, name === 'step' ? 'id % 3 = 0' : 'id % 3 = 1')
      await stopBefore('purge', database, table, request)
      await database.admin(forget)
      await purgeRows(database, table, request, SMALL)
      const { removed } = await onlyArchive(name)
      expect(removed).toMatchObject({ archived: 100, deleted: 100 })
    }
  })

  test('between the rows and their receipt, they are listed and archived anew', async ({ database }) => {
    const table = await visits(database)
    const request = archived('anew')
    await stopBefore('purge', database, table, request)
    const { receipt } = await onlyArchive('anew')
    await rm(`${folder.path}/anew/${receipt.id}/receipt.json`)
    await database.admin(
      `delete from ebb.step where key = 'archive'; update ebb.archive set receipt_uri = null, receipt_sha256 = null`,
    )
    await database.admin(sql`update ${quoted(table)} set id = 600 where id = 6`)
    await database.admin(sql`insert into ${quoted(table)} values (1200, 'new', 1, now())`)
    await purgeRows(database, table, request, SMALL)
    const { removed, ids } = await onlyArchive('anew')
    expect(ids).toEqual([...multiples(300, 6), 600, 1200])
    expect(removed).toMatchObject({ archived: 101, deleted: 101, kept: 0 })
    expect(await idsOf(database, table)).toEqual([])
  })

  test('after removal.json, before that is recorded', async ({ database }) => {
    const table = await visits(database)
    const request = archived('removal')
    await stopBefore('drop set', database, table, request)
    await database.admin(`delete from ebb.step where key = 'removal'`)
    const { receipt } = await onlyArchive('removal')
    const beside = join(folder.path, 'removal', receipt.id)
    // Of a process that was killed when it had given the document its name.
    await writeFile(join(beside, '.ebb-unfinished-1'), '')
    await purgeRows(database, table, request, SMALL)
    expect((await onlyArchive('removal')).removed).toMatchObject({ deleted: 100 })
    expect(await readdir(beside)).not.toContain('.ebb-unfinished-1')
    expect(await keyTables(database)).toBe(0)
  })
})

test('an archive that has lost an object before the run resumes keeps it from deleting', async ({ database }) => {
  const table = await visits(database)
  const before = await contentOf(database, table)
  const request = archived('lost')
  await stopBefore('purge', database, table, request)
  const { receipt } = await onlyArchive('lost')
  const object = `${folder.path}/lost/${receipt.id}/${receipt.tables[0]!.objects[0]!.name}`
  await rename(object, `${object}.away`)
  await expect(purgeRows(database, table, request, SMALL)).rejects.toThrow(/is no longer stored as it was/)
  expect(await contentOf(database, table)).toEqual(before)
  await rename(`${object}.away`, object)
  await purgeRows(database, table, request, SMALL)
  expect((await onlyArchive('lost')).removed).toMatchObject({ deleted: 100 })
})

test('a store that fails stops the purge before the first row, and it resumes', async ({ database }) => {
  const table = await visits(database)
  const before = await contentOf(database, table)
  const request = archived('later')
  await stopBefore('archive', database, table, request)
  await rename(folder.path, `${folder.path}-away`)
  try {
    await expect(purgeRows(database, table, request, SMALL)).rejects.toThrow()
    expect(await contentOf(database, table)).toEqual(before)
  } finally {
    await rename(`${folder.path}-away`, folder.path)
  }
  await purgeRows(database, table, request, SMALL)
  expect((await onlyArchive('later')).removed).toMatchObject({ deleted: 100 })
})

test('entries that were not archived keep it from deleting', async ({ database }) => {
  const table = await visits(database)
  const before = await contentOf(database, table)
  const request = archived('tampered')
  await stopBefore('purge', database, table, request)
  await database.admin(`delete from ebb.step where key = 'archive'`)
  await database.admin(
    sql`insert into ${await listOf(database)} select 0, '', ctid, ctid, array[ctid], array[xmin], array[id::text] from ${quoted(table)} where id = 1`,
  )
  await expect(purgeRows(database, table, request, SMALL)).rejects.toThrow(/100 rows .* are archived, and 101 rows/)
  expect(await contentOf(database, table)).toEqual(before)
})

test('given up, it leaves the receipt, and no table of keys', async ({ database }) => {
  const table = await visits(database)
  const before = await contentOf(database, table)
  await stopBefore('purge', database, table, archived('given-up'))
  await abandon(database.url, { table }, quietly())
  expect(await keyTables(database)).toBe(0)
  expect(await contentOf(database, table)).toEqual(before)
  expect((await onlyArchive('given-up')).removal).toBeNull()
})

test('given up after it has deleted rows, it says which it has not', async ({ database }) => {
  const table = await visits(database)
  const request = archived('given-up-later')
  await stopBefore('purge', database, table, request)
  await database.admin(sql`update ${quoted(table)} set t = 'changed' where id = 9`)
  await stopBefore('removal', database, table, request)
  await abandon(database.url, { table }, quietly())
  const { removed } = await onlyArchive('given-up-later')
  expect(removed).toMatchObject({ archived: 100, deleted: 99, kept: 1, keptKeys: [['9']] })
})

test('given up when the store is gone, it ends all the same', async ({ database }) => {
  const table = await visits(database)
  await stopBefore('removal', database, table, archived('given-up-gone'))
  await rename(`${folder.path}/given-up-gone`, `${folder.path}/given-up-elsewhere`)
  const notes: string[] = []
  const observer = (event: { type: string; text?: string }) => {
    if (event.type === 'note') notes.push(event.text ?? '')
  }
  await abandon(database.url, { table }, quietly({ observer }))
  expect(await keyTables(database)).toBe(0)
  expect(notes.join()).toContain('is not written')
})

test('a candidate set is archived under its approval, and stays as it is', async ({ database }) => {
  const table = await visits(database)
  const { runId } = await writeCandidates(database.url, written(table), { where: 'id % 3 = 0' }, quietly(SMALL))
  await database.admin(sql`update ${quoted(table)} set t = 'changed' where id in (9, 15)`)
  await database.admin(sql`delete from ${quoted(table)} where id = 12`)
  const rows = { kind: 'candidates', set: runId ?? '', approvedBy: 'Ann', ticket: 'OPS-1' } as const
  const request = archived('set', null, { rows })
  await stopBefore('purge', database, table, request)
  await database.admin(sql`update ${quoted(table)} set t = 'changed' where id in (21, 24, 27)`)
  const result: PurgeResult = await purgeRows(database, table, request, SMALL)
  expect(result.figures?.rows).toBe(94)
  expect(describePurged(result).slice(-5)).toEqual([
    'Archived, and not deleted: 3 rows, listed in removal.json',
    '  changed since, and kept: 3 rows',
    'Of the candidates, not archived',
    '  changed since they were recorded, and kept: 2 rows',
    '  deleted by others, or by an earlier run: 1 row',
  ])
  const { receipt, ids } = await onlyArchive('set')
  expect(ids).toEqual(multiples(300, 9, 12, 15))
  expect(receipt.run).toMatchObject({ approvedBy: 'Ann', ticket: 'OPS-1' })
  const { rows: sets } = await database.admin(sql`select count(*)::int as rows from ${quoted(await setOf(database))}`)
  expect(sets).toEqual([{ rows: 100 }])
})

async function setOf(database: Database): Promise<TableName> {
  const { rows } = await database.admin<{ name: string }>('select set_name as name from ebb.candidate_set')
  return { schema: 'ebb', name: rows[0]!.name }
}

test('a group that becomes active after its rows were archived keeps them', async ({ database }) => {
  const further = `alter table TABLE add g int; update TABLE set g = id % 10, at = at - interval '900 days'; create index on TABLE (g, at)`
  const table = await visits(database, 300, further)
  const rows = { kind: 'stale', group: 'g', activity: 'at', idle: { count: 90, unit: 'day' } } as const
  const request = archived('stale', null, { rows, allRows: true })
  await stopBefore('purge', database, table, request)
  await database.admin(sql`insert into ${quoted(table)} values (1000, 'active', 1, now(), 4)`)
  const result = await purgeRows(database, table, request, SMALL)
  expect(result.figures?.rows).toBe(270)
  expect(result.remaining?.left).toMatchObject({ rows: 30, matching: 0, changed: 0, gone: 0 })
  expect(describePurged(result).join('\n')).toContain('unchanged, but match no more: 30 rows')
  expect((await onlyArchive('stale')).removed).toMatchObject({ archived: 300, deleted: 270, kept: 30 })
})

test('what cannot be archived is an objection', async ({ database }) => {
  const table = await visits(
    database,
    30,
    `alter table TABLE drop constraint visits_pkey; create table ebb_child () inherits (TABLE); insert into ebb_child values (300, 'child')`,
  )
  const { objections } = await planPurgeOf(database.url, written(table), archived('none'), quietly())
  expect(objections.map(({ code }) => code)).toEqual(['archive-key', 'archive-inheritance'])
})
