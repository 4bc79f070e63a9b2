import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type EbbError } from '../../src/errors.ts'
import { DEFAULT_PACE, type PaceSettings } from '../../src/pacing/limits.ts'
import type { Event } from '../../src/events.ts'
import { display, quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { ebb } from '../cli/support.ts'
import { test, type Database } from '../support/database.ts'
import { contentOf, purgeRequest } from '../support/purging.ts'
import { quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { folder } from './support.ts'
import { purge, rebuild } from '../support/commands.ts'

// Whole commands at their pace, on tables that take a while.

const ROWS = 20_000

async function notes(database: Database): Promise<TableName> {
  const table = database.table('notes')
  const owner = await database.session('setup')
  await owner.query(sql`create table ${quoted(table)} (id int primary key, note text default repeat('x', 200))`.text)
  await owner.query(sql`insert into ${quoted(table)} select n from generate_series(1, ${ROWS}::int) n`)
  await owner.query(sql`analyze ${quoted(table)}`.text)
  return table
}

const pacing = (settings: Partial<PaceSettings>) => ({ settings: { ...DEFAULT_PACE, ...settings }, paceFile: null })

function listening(settings: Partial<PaceSettings>) {
  const events: Event[] = []
  const said = (pattern: RegExp) =>
    events.some(
      (event) =>
        (event.type === 'waiting' && pattern.test(event.reason)) || (event.type === 'note' && pattern.test(event.text)),
    )
  return { said, options: quietly({ pacing: pacing(settings), observer: (event: Event) => void events.push(event) }) }
}

test('a purge stops for a stop file within a batch, and resumes from there', async ({ database }) => {
  const table = await notes(database)
  const stopFile = join(await folder(), 'stop')
  const { options } = listening({ stopFile, pauseMs: 30 })
  const purging = purge(database.url, written(table), purgeRequest('id % 2 = 0'), options).catch(
    (error: unknown) => error,
  )
  await until(async () => (await contentOf(database, table)).rows < ROWS)
  await writeFile(stopFile, '')
  expect(await purging).toMatchObject({
    kind: 'stopped',
    message: expect.stringContaining(`stopped by the stop file ${stopFile}, while purging`) as string,
  })
  const { rows: left } = await contentOf(database, table)
  expect(left).toBeGreaterThan(ROWS / 2)

  await rm(stopFile)
  const { figures, steps } = await purge(
    database.url,
    written(table),
    purgeRequest('id % 2 = 0'),
    quietly({ pacing: pacing({}) }),
  )
  expect(figures!.rows).toBe(ROWS / 2)
  expect(steps.find(({ pace }) => pace !== null)!.pace!.turns).toBeGreaterThan(0)
  expect(await contentOf(database, table)).toMatchObject({ rows: ROWS / 2 })
})

test('a purge with contention halves its pace within two batches, and recovers', async ({ database }) => {
  const table = await notes(database)
  const owner = await database.session('owner')
  await owner.query(`
    create function public.slowly() returns trigger language plpgsql as $$
    begin if old.id between 8000 and 8200 then perform pg_sleep(0.004); end if; return old; end $$`)
  await owner.query(
    sql`create trigger slowly before delete on ${quoted(table)} for each row execute function public.slowly()`.text,
  )

  const { options, said } = listening({ targetMs: 20 })
  const { figures, steps } = await purge(database.url, written(table), purgeRequest('id % 2 = 0'), options)
  expect(said(/several times as long as those before: the pace is halved/)).toBe(true)
  expect(figures!.rows).toBe(ROWS / 2)
  expect(steps.find(({ pace }) => pace !== null)!.pace!.pausedMsBy['slow batches']).toBeGreaterThan(0)
  expect(said(/full pace again/)).toBe(true)
})

test('a rebuild pauses between chunks, stops for a stop file, and resumes', async ({ database }) => {
  const table = await notes(database)
  const before = await contentOf(database, table)
  const place = await folder()
  const [pauseFile, stopFile] = [join(place, 'pause'), join(place, 'stop')]
  await writeFile(pauseFile, '')
  const { options, said } = listening({ pauseFile, stopFile })
  const request = { keep: null, transport: 'copy', jobs: 2, noArchive: false, retireAfter: null } as const
  const rebuilding = rebuild(database.url, written(table), request, options).catch((error: unknown) => error)
  await until(() => said(/pause file/))
  await writeFile(stopFile, '')
  expect((await rebuilding) as EbbError).toMatchObject({ kind: 'stopped' })

  await rm(pauseFile)
  await rm(stopFile)
  const { steps } = await rebuild(database.url, written(table), request, quietly({ pacing: pacing({}) }))
  expect(steps.find(({ key }) => key === 'copy')!.pace!.turns).toBeGreaterThan(0)
  expect(await contentOf(database, table)).toEqual(before)
})

test('the final report of a purge includes its pauses and its flags', async ({ database }) => {
  const table = await notes(database)
  const words = ['purge', display(table), '--where', 'id % 2 = 0', '--no-archive', '--execute', '--url', database.url]
  const { code, out, err } = await ebb([...words, '--pause-ms', '20', '--target-ms', '10'])
  expect(code, err).toBe(0)
  expect(out).toMatch(/pauses +[\d.]+ m?s \(fixed pause [\d.]+ m?s/)
  expect(out).toMatch(/waits for its locks +none seen/)
  expect(err).toContain('waiting: the pause between batches')
})
