import { expect } from 'vitest'
import { candidateSets } from '../../src/engine/purge/candidates/review.ts'
import { abandon } from '../../src/engine/runs/runs.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { startTool, type Errand } from '../support/process.ts'
import { batchesOf, candidatesOf, contentOf, markRequest, purgeRequest, purgeRows } from '../support/purging.ts'
import { randomFrom } from '../support/random.ts'
import { persevere, quietly, written } from '../support/tool.ts'
import { mark, writeCandidates } from '../support/commands.ts'

// Killed at any moment, the same command goes on: a set has each row once, what has changed since stays, a mark is set once.

const SMALL = { turns: batchesOf(50) }
const WHERE = 'id % 2 = 0'

async function members(database: Database): Promise<TableName> {
  const table = database.table('members')
  const owner = await database.session('setup')
  for (const statement of [
    sql`create table ${quoted(table)} (id int primary key, name text, deleted_at timestamptz, note text default repeat('x', 200))`,
    sql`insert into ${quoted(table)} select n, 'member ' || n from generate_series(1, 2000) n`,
    sql`analyze ${quoted(table)}`,
  ])
    await owner.query(statement.text)
  return table
}

async function killed(errand: Errand, times: number): Promise<void> {
  const random = randomFrom(`kill ${errand.command}`)
  for (let i = 0; i < times; i++) {
    const dieAtStatement = { number: 25 + Math.floor(random() * 60), afterMs: Math.floor(random() * 6) }
    await startTool({ ...errand, batchRows: 10, dieAtStatement }).end()
  }
}

test('a candidate set, and the purge of it', async ({ database }) => {
  const table = await members(database)
  const url = database.url
  await killed({ command: 'candidates', url, table, candidates: { where: WHERE } }, 5)
  const { runId, set } = await persevere(() =>
    writeCandidates(url, written(table), { where: WHERE }, { ...quietly(), ...SMALL }),
  )
  expect(set).toMatchObject({ rows: 1000 })
  expect(await candidateSets(url, quietly())).toHaveLength(1)

  await database.admin(sql`update ${quoted(table)} set name = 'still here' where id in (2, 1000, 2000)`)
  const candidates = candidatesOf(runId, 'Ann')
  const request = purgeRequest(candidates)
  await killed({ command: 'purge', url, table, purge: request }, 5)
  const { figures, remaining } = await persevere(() => purgeRows(database, table, request, SMALL))
  expect(figures?.rows).toBe(997)
  expect(remaining).toMatchObject({ matching: 0, drift: { changed: 3, gone: 997 } })
  expect(await contentOf(database, table, `id % 2 = 1 or name = 'still here'`)).toMatchObject({ rows: 0 })
})

test('an abandoned set leaves nothing behind', async ({ database }) => {
  const table = await members(database)
  const errand = { command: 'candidates', url: database.url, table, candidates: { where: WHERE } } as const
  await startTool({ ...errand, dieAt: 'step started: settle' }).end()
  expect(await candidateSets(database.url, quietly())).toMatchObject([{ rows: null }])
  await persevere(() => abandon(database.url, { table }, quietly()))
  expect(await candidateSets(database.url, quietly())).toEqual([])
  const { rows } = await database.admin(`select from pg_class where relname ~ '^candidates_'`)
  expect(rows).toEqual([])
})

test('marks', async ({ database }) => {
  const table = await members(database)
  const request = markRequest(WHERE, 'deleted_at')
  await killed({ command: 'mark', url: database.url, table, mark: request }, 5)
  const { figures } = await persevere(() => mark(database.url, written(table), request, { ...quietly(), ...SMALL }))
  expect(figures?.rows).toBe(1000)
  const { rows } = await database.admin(
    sql`select count(*)::int as rows, count(distinct deleted_at)::int as moments from ${quoted(table)} where deleted_at is not null`,
  )
  expect(rows).toEqual([{ rows: 1000, moments: 1 }])
})
