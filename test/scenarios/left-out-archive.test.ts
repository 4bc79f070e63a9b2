import { mkdirSync, readdirSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { abandon, planRetireOf, planRollbackOf, resume, retire, rollback, status } from '../../src/engine/runs/runs.ts'
import { retireDue } from '../../src/engine/runs/retire-due.ts'
import { retirable } from '../../src/engine/runs/retired.ts'
import type { Event } from '../../src/events.ts'
import type { RebuildRequest } from '../../src/plan/copy/rebuild.ts'
import { describeStatus } from '../../src/report/status.ts'
import { describeUndone } from '../../src/report/undone.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { raw, sql } from '../../src/sql/sql.ts'
import { splitOrder } from '../engine/split-support.ts'
import { codes } from '../plan/support/gist.ts'
import { archivesIn } from '../support/archived-contents.ts'
import { archivedRows, archiveFolder, archiveTo } from '../support/archiving.ts'
import { partition, partitionByCopy, planRebuildOf, rebuild, split } from '../support/commands.ts'
import { test, type Database } from '../support/database.ts'
import { createEvents } from '../support/events-table.ts'
import { startTool, type Errand } from '../support/process.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { restoreFrom } from '../support/restoring.ts'
import { monthly, persevere, quietly, written } from '../support/tool.ts'

// The rows that a rebuild leaves out are archived before `retire` drops them: exactly those, whatever happens to both
// tables in between, and wherever it is killed.

let folder: Awaited<ReturnType<typeof archiveFolder>>
beforeAll(async () => void (folder = await archiveFolder()))
afterAll(() => folder.close())

const LEFT_OUT = 'id % 3 = 0 or state is null'
/** NULL for some rows: they are left out, too. */
const KEEP = "state = 'open' and at > now() - interval '90 days'"

/** Of 90 rows every third is older than ninety days, and every tenth has no state. */
async function visits(database: Database): Promise<TableName> {
  const table = database.table('visits')
  const owner = await database.session('setup')
  const place = quoted(table)
  await owner.query(sql`create table ${place} (id bigint primary key, t text, state text, at timestamptz)`.text)
  await owner.query(
    sql`insert into ${place} select n, 'visit ' || n, case when n % 10 > 0 then 'open' end,
      now() - case when n % 3 = 0 then interval '91 days' else interval '1 day' end from generate_series(1, 90) n`.text,
  )
  await owner.query(sql`analyze ${place}`.text)
  return table
}

interface Place {
  readonly path: string
  readonly request: RebuildRequest
}

/** A rebuild that archives in a folder of its own. */
function placeOf(name: string, changes: Partial<RebuildRequest> = {}): Place {
  const path = join(folder.path, name)
  mkdirSync(path)
  const archive = archiveTo(`${folder.uri}/${name}`)
  return { path, request: rebuildRequest({ keep: KEEP, noArchive: false, archive, ...changes }) }
}

function rebuilt(database: Database, table: TableName, { request }: Place) {
  return rebuild(database.url, written(table), request, quietly())
}

/** Stopped when the step begins, as by Ctrl-C. */
async function stoppedAt(key: string, database: Database, table: TableName, { request }: Place): Promise<void> {
  const stop = new AbortController()
  const observer = (event: Event) => {
    if (event.type === 'step started' && event.step.key === key) stop.abort()
  }
  const stopped = rebuild(database.url, written(table), request, quietly({ signal: stop.signal, observer }))
  await expect(stopped).rejects.toMatchObject({ kind: 'stopped' })
}

async function rowsOf(database: Database, table: TableName, where = 'true'): Promise<string[]> {
  const { rows } = await database.admin<{ row: string }>(
    sql`select row_to_json(r)::text as row from ${quoted(table)} r where ${raw(where)} order by id`,
  )
  return rows.map(({ row }) => row)
}

async function isThere(database: Database, table: TableName): Promise<boolean> {
  const { rows } = await database.admin(
    sql`select from pg_tables where schemaname = ${table.schema} and tablename = ${table.name}`,
  )
  return rows.length > 0
}

function retiredOf({ schema, name }: TableName): TableName {
  return { schema, name: `${name}_retired` }
}

async function idsIn(path: string): Promise<{ readonly ids: number[]; readonly removed: boolean }[]> {
  const { archives, leftovers } = await archivesIn(path)
  expect(leftovers).toEqual([])
  const read = archives.map(async ({ receipt, removal }) => {
    const rows = await archivedRows(path, receipt)
    return { ids: rows.map((row) => Number(row.split(',')[0])).sort((a, b) => a - b), removed: removal !== null }
  })
  return Promise.all(read)
}

const IDS = Array.from({ length: 90 }, (_, i) => i + 1).filter((n) => n % 3 === 0 || n % 10 === 0)
const WITH_RECEIPT = [{ ids: IDS, removed: false }]
const REMOVED = [{ ids: IDS, removed: true }]

async function change(database: Database, statement: string): Promise<void> {
  const owner = await database.session(`change ${Math.random()}`)
  await owner.query(statement)
}

describe('an archive of the rows that a rebuild leaves out', () => {
  test('has exactly those, whatever the application does before it is made, and they come back', async ({
    database,
  }) => {
    const table = await visits(database)
    const before = await rowsOf(database, table)
    const leftOut = await rowsOf(database, table, LEFT_OUT)
    const place = placeOf('exactly')
    const plan = await planRebuildOf(database.url, written(table), place.request, quietly())
    expect(plan.steps.at(-1)).toMatchObject({ kind: 'archive', key: 'archive' })
    expect(plan.evidence.join()).toMatch(/rows left out are archived in file:.* after the swap/)

    await stoppedAt('archive', database, table, place)
    // Kept rows that go or change, and rows that the condition would have left out: one has the key of a left-out row.
    await change(database, sql`delete from ${quoted(table)} where id in (1, 2)`.text)
    await change(database, sql`update ${quoted(table)} set state = 'closed' where id = 4`.text)
    await change(database, sql`insert into ${quoted(table)} values (3, 'came back'), (1000, 'new')`.text)
    const { runId, receipt } = await rebuilt(database, table, place)

    expect(await idsIn(place.path)).toEqual(WITH_RECEIPT)
    expect(receipt?.rows).toBe(IDS.length)
    const { archives } = await archivesIn(place.path)
    expect(archives[0]!.receipt).toMatchObject({
      run: { command: 'rebuild', id: runId },
      tables: [{ name: 'visits', where: expect.stringMatching(/^\(state = 'open' .*\) is not true$/) as unknown }],
    })
    expect(archives[0]!.receipt.tables[0]!.ddl[0]).toContain('."visits" (')
    expect(await retirable(database.url, quietly())).toMatchObject([{ archive: { receipt: receipt?.uri } }])

    const retired = await retire(database.url, { runId }, quietly())
    expect(describeUndone('retire', retired).join()).toContain(`The rows left out are archived: ${receipt?.uri}`)
    expect(await isThere(database, retiredOf(table))).toBe(false)
    expect(await idsIn(place.path)).toEqual(REMOVED)
    expect((await archivesIn(place.path)).archives[0]!.removal).toMatchObject({
      receipt: { uri: receipt?.uri, sha256: receipt?.sha256 },
      run: { command: 'retire', id: runId },
      how: 'dropped',
      tables: [{ name: 'visits', archived: IDS.length, deleted: IDS.length, kept: 0 }],
    })

    await change(database, sql`delete from ${quoted(table)} where id = 3`.text)
    const { restored } = await restoreFrom({ receipt: receipt!.uri }, database.url)
    expect(restored).toMatchObject({ rows: IDS.length, present: 0 })
    expect(await rowsOf(database, table, LEFT_OUT)).toEqual([...leftOut, expect.stringContaining('"id":1000')])
    const untouched = 'id not in (1, 2, 4, 1000)'
    expect(await rowsOf(database, table, untouched)).toEqual(before.filter((row) => !/"id":[124],/.test(row)))
  })

  test('stays when the rebuild is rolled back; another rebuild archives again', async ({ database }) => {
    const table = await visits(database)
    const before = await rowsOf(database, table)
    const place = placeOf('rolled-back')
    const { runId, receipt } = await rebuilt(database, table, place)

    expect((await planRollbackOf(database.url, { runId }, quietly())).evidence.join()).toContain(receipt!.uri)
    const back = await rollback(database.url, { runId }, quietly())
    expect(describeUndone('rollback', back).join()).toContain(`stays, without removal.json: ${receipt!.uri}`)
    expect(await rowsOf(database, table)).toEqual(before)
    expect(await idsIn(place.path)).toEqual(WITH_RECEIPT)

    const again = await rebuilt(database, table, place)
    expect(again.runId).not.toBe(runId)
    await retire(database.url, { runId: again.runId }, quietly())
    expect(await idsIn(place.path)).toEqual([...WITH_RECEIPT, ...REMOVED])
  })

  test('is tried before the first row is copied', async ({ database }) => {
    const table = await visits(database)
    const place = placeOf('not-there')
    await rm(place.path, { recursive: true })
    await expect(rebuilt(database, table, place)).rejects.toThrow(/not-there/)
    expect((await status(database.url, quietly())).runs).toEqual([])
  })

  test('is demanded, unless the rows may go without', async ({ database }) => {
    const table = await visits(database)
    const asked = (changes: Partial<RebuildRequest>) =>
      planRebuildOf(database.url, written(table), rebuildRequest({ keep: KEEP, ...changes }), quietly())
    expect(codes(await asked({ noArchive: false }))).toEqual(['archive'])
    expect(codes(await asked({ noArchive: true }))).toEqual([])
    await change(database, sql`alter table ${quoted(table)} add column n pg_node_tree`.text)
    const { request } = placeOf('node-tree')
    expect(codes(await asked(request))).toContain('not-restorable:n')
  })
})

describe('the retired table is not dropped without a receipt', () => {
  test('of a run that was ended before its archive', async ({ database }) => {
    const table = await visits(database)
    const place = placeOf('ended')
    await stoppedAt('archive', database, table, place)
    const choice = { table }
    const ended = await abandon(database.url, choice, quietly())
    expect(describeUndone('abandon', ended).join()).toMatch(/rows left out are not archived yet: ebb retire 1/)
    expect(await idsIn(place.path)).toEqual([])
    const kept = await retirable(database.url, quietly())
    expect(kept).toMatchObject([{ archive: { to: place.request.archive?.uri, receipt: null } }])
    const report = describeStatus(await status(database.url, quietly()), kept, 'ebb').join('\n')
    expect(report).toContain(`rows left out are archived first, in ${place.request.archive?.uri}`)

    const { rows } = await database.admin<{ keep: string }>(
      `select plan #>> '{rebuild,forward,keep}' as keep from ebb.run`,
    )
    const fixed = rows[0]?.keep

    await rename(place.path, `${place.path}-away`)
    await expect(retire(database.url, choice, quietly())).rejects.toThrow(/ended/)
    expect(await isThere(database, retiredOf(table))).toBe(true)
    await rename(`${place.path}-away`, place.path)

    // The journal is not trusted with code.
    const keep = sql`update ebb.run set plan = jsonb_set(plan, '{rebuild,forward,keep}', `
    await database.admin(sql`${keep} '"nextval(''s'') > 0"')`)
    await expect(retire(database.url, choice, quietly())).rejects.toThrow(
      /calls nextval\(\), which may have side effects/,
    )
    expect(await isThere(database, retiredOf(table))).toBe(true)
    await database.admin(sql`${keep} to_jsonb(${fixed}::text))`)

    // What the application does now is no part of it.
    await change(database, sql`delete from ${quoted(table)} where id in (1, 2)`.text)
    await change(database, sql`insert into ${quoted(table)} values (3, 'came back')`.text)
    const plan = await planRetireOf(database.url, choice, quietly())
    expect(plan.steps.map(({ key }) => key)).toEqual(['retire:archive', 'retire:drop', 'retire:capture'])
    const killed = startTool({ command: 'retire', url: database.url, table, dieAt: 'step started: retire:drop' })
    expect(await killed.end()).toBe('SIGKILL')
    expect(await isThere(database, retiredOf(table))).toBe(true)
    await persevere(() => retire(database.url, choice, quietly()))
    expect(await isThere(database, retiredOf(table))).toBe(false)
    expect(await idsIn(place.path)).toEqual(REMOVED)
  })

  test('but by the user’s word, though its store is gone', async ({ database }) => {
    const table = await visits(database)
    const place = placeOf('gone')
    const { runId } = await rebuilt(database, table, place)
    await rm(place.path, { recursive: true })
    await expect(retire(database.url, { runId }, quietly())).rejects.toThrow(/gone/)
    expect(await isThere(database, retiredOf(table))).toBe(true)
    await retire(database.url, { runId }, quietly(), { noArchive: true })
    expect(await isThere(database, retiredOf(table))).toBe(false)
  })

  test('if an object is no longer in the store: the rows are archived again', async ({ database }) => {
    const table = await visits(database)
    const place = placeOf('lost-object')
    const { runId, receipt } = await rebuilt(database, table, place)
    const [found] = (await archivesIn(place.path)).archives
    await rm(new URL(found!.receipt.tables[0]!.objects[0]!.name, receipt!.uri))
    await retire(database.url, { runId }, quietly())
    const { archives } = await archivesIn(place.path)
    expect(archives.map(({ removal }) => removal === null)).toEqual([true, false])
    expect((await archivedRows(place.path, archives[1]!.receipt)).length).toBe(IDS.length)
  })

  test('if its receipt is no longer in the store, by a rotation either: the rows are archived again', async ({
    database,
  }) => {
    const table = await visits(database)
    const place = placeOf('lost')
    const { receipt } = await rebuilt(database, table, place)
    await rm(new URL(receipt!.uri))
    const rotated = async () => retireDue(database.url, await retirable(database.url, quietly()), quietly())
    await rename(place.path, `${place.path}-away`)
    expect(await rotated()).toMatchObject({
      dropped: [],
      failed: [{ what: expect.stringContaining('drop') as unknown }],
    })
    expect(await isThere(database, retiredOf(table))).toBe(true)
    await rename(`${place.path}-away`, place.path)
    expect((await rotated()).failed).toEqual([])
    expect(await isThere(database, retiredOf(table))).toBe(false)
    const { archives } = await archivesIn(place.path)
    expect(archives.map(({ removal }) => removal !== null)).toEqual([true])
  })

  test('nor after a rollback that may have changed it was given up', async ({ database }) => {
    const table = await visits(database)
    const place = placeOf('given-up')
    await stoppedAt('archive', database, table, place)
    const [{ runId }] = [await abandon(database.url, { table }, quietly())]
    await change(database, sql`insert into ${quoted(table)} values (3, 'came back')`.text)
    const stop = new AbortController()
    const observer = (event: Event) => {
      if (event.type === 'step started' && event.step.key === 'swap-back') stop.abort()
    }
    const rolling = rollback(database.url, { runId }, quietly({ signal: stop.signal, observer }))
    await expect(rolling).rejects.toMatchObject({ kind: 'stopped' })
    await abandon(database.url, { table }, quietly())

    const retiring = retire(database.url, { runId }, quietly())
    await expect(retiring).rejects.toMatchObject({ plan: { objections: [{ code: 'left-out-changed' }] } })
    expect(await isThere(database, retiredOf(table))).toBe(true)
  })

  test('and its removal is told later where the store does not take that', async ({ database }) => {
    const table = await visits(database)
    const place = placeOf('told-later')
    const { runId } = await rebuilt(database, table, place)
    const options = quietly()
    const observer = (event: Event) => {
      options.observer(event)
      if (event.type !== 'step finished' || event.step.key !== 'retire:drop') return
      for (const name of readdirSync(place.path, { recursive: true }) as string[])
        if (name.endsWith('receipt.json')) mkdirSync(join(place.path, name.replace('receipt', 'removal')))
    }
    await retire(database.url, { runId }, { ...options, observer })
    expect(options.events).toContainEqual(
      expect.objectContaining({ type: 'note', text: expect.stringContaining('is not stored yet') as unknown }),
    )
    const report = describeStatus(await status(database.url, quietly()), [], 'ebb').join('\n')
    expect(report).toContain(`finished by ebb retire ${runId}`)

    for (const name of readdirSync(place.path, { recursive: true }) as string[])
      if (name.endsWith('removal.json')) await rm(join(place.path, name), { recursive: true })
    await retire(database.url, { runId }, quietly())
    expect(await idsIn(place.path)).toEqual(REMOVED)
    await expect(retire(database.url, { runId }, quietly())).rejects.toThrow(/no retired table/)
  })
})

describe('rows left out by', () => {
  const old = { count: 90, unit: 'day' } as const

  test.for([
    ['split', 'events_history'],
    ['partition', 'events'],
  ] as const)('ebb %s are archived, removed, and come back', async ([command, name], { database }) => {
    const { events } = await createEvents(database, { rows: 500 })
    const where = 'created_at < now() - interval ' + "'90 days'"
    const place = placeOf(command)
    const { archive } = place.request
    const leaving = {
      keep: old,
      transport: 'server',
      jobs: 1,
      noArchive: false,
      archive: archive!,
      retireAfter: null,
    } as const
    if (command === 'split') await partition(database.url, written(events), monthly(), quietly())
    const before = await rowsOf(database, events)
    const leftOut = await rowsOf(database, events, where)
    const { runId, receipt } =
      command === 'split'
        ? await split(database.url, written(events), splitOrder(leaving), quietly())
        : await partitionByCopy(database.url, written(events), { ...monthly(), ...leaving }, quietly())
    expect(await rowsOf(database, events, where)).toEqual([])
    expect(receipt?.rows).toBe(leftOut.length)

    await retire(database.url, { runId }, quietly())
    const { archives } = await archivesIn(place.path)
    expect(archives).toMatchObject([
      { receipt: { run: { command }, tables: [{ name, horizon: expect.any(String) as string }] } },
    ])
    expect(archives[0]!.removal).toMatchObject({ tables: [{ name, deleted: leftOut.length }] })
    await restoreFrom({ receipt: receipt!.uri }, database.url)
    expect(await rowsOf(database, events)).toEqual(before)
  })
})

describe('killed', () => {
  test('at any step, it is dropped with a receipt only, and each row is archived once', async ({ database }) => {
    const table = await visits(database)
    const place = placeOf('killed')
    const errand: Errand = { command: 'rebuild', url: database.url, table, rebuild: place.request }
    expect(await startTool({ ...errand, dieAt: 'step started: archive' }).end()).toBe('SIGKILL')
    const last: (string | undefined)[] = []
    for (const number of [50, 58, 66]) {
      const tool = startTool({ ...errand, dieAtStatement: { number, afterMs: 2 } })
      expect(await tool.end()).toBe('SIGKILL')
      last.push(tool.said.findLast(({ type }) => type.startsWith('step'))?.type)
    }
    expect(last).toContain('step started')
    expect(await isThere(database, retiredOf(table))).toBe(true)
    await persevere(() => resume(database.url, { table }, quietly()))
    expect(await idsIn(place.path)).toEqual(WITH_RECEIPT)

    for (const dieAt of ['step started: retire:drop', 'step finished: retire:drop', 'step finished: retire:capture']) {
      expect(await startTool({ command: 'retire', url: database.url, table, dieAt }).end()).toBe('SIGKILL')
      expect(await isThere(database, retiredOf(table))).toBe(dieAt === 'step started: retire:drop')
    }
    await persevere(() => retire(database.url, { table }, quietly()))
    expect(await idsIn(place.path)).toEqual(REMOVED)
  })
})
