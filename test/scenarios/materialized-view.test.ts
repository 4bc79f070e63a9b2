import { expect } from 'vitest'
import { rollback } from '../../src/engine/runs/runs.ts'
import type { WrittenName } from '../../src/sql/parse-name.ts'
import { ebb } from '../cli/support.ts'
import { partition, planPartitionOf, planRebuildOf, rebuild } from '../support/commands.ts'
import { test } from '../support/database.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { monthly, quietly, written } from '../support/tool.ts'

// The way out of the objection is executed as it is printed.

const T = { schema: 'public', name: 'events' }
const byHundred = monthly({ by: 'id', every: { kind: 'ids', ids: 100n }, keep: null, premake: 1 })

const WAYS = {
  rebuild: {
    plan: (url: string, table: WrittenName) => planRebuildOf(url, table, rebuildRequest(), quietly()),
    carryOut: (url: string, table: WrittenName) => rebuild(url, table, rebuildRequest(), quietly()),
  },
  partition: {
    plan: (url: string, table: WrittenName) => planPartitionOf(url, table, byHundred, quietly()),
    carryOut: (url: string, table: WrittenName) => partition(url, table, byHundred, quietly()),
  },
}

test.for(Object.entries(WAYS))(
  'a materialized view is led over a view, and follows the table: %s',
  async ([, way], { database }) => {
    const app = await database.session('app')
    await app.query(`
    create table events (id bigint primary key, kind text);
    insert into events select n, 'x' from generate_series(1, 200) n;
    create materialized view "Kinds ""$ebb$" (kind, n) as select kind, count(*) from events group by kind;
    analyze events`)
    const reader = await database.session('reader')
    const counted = async () =>
      (await reader.query<{ n: number }>(`select sum(n)::int as n from "Kinds ""$ebb$"`)).rows[0]?.n

    const [objection, ...others] = (await way.plan(database.url, written(T))).objections
    expect(others).toEqual([])
    expect(objection).toMatchObject({ code: 'materialized-view:public."Kinds ""$ebb$"' })
    expect(objection?.acceptable).toBeFalsy()
    const statements = objection?.fix.match(/begin;.*?commit;|(?:do|create|drop)\b.*?;(?= |$)(?! end)/g) ?? []
    expect(statements).toHaveLength(4)
    for (const statement of statements) {
      await app.query(statement)
      expect(await counted()).toBe(200)
    }

    const { runId } = await way.carryOut(database.url, written(T))
    const refreshed = async (id: number) => {
      await app.query(`insert into events values (${id}, 'y')`)
      await app.query('refresh materialized view "Kinds ""$ebb$"')
      return counted()
    }
    expect(await refreshed(201)).toBe(201)
    await rollback(database.url, { runId }, quietly())
    expect(await refreshed(202)).toBe(202)
  },
)

test('its statements can be copied out of the plan as it is printed, wherever its lines break', async ({
  database,
}) => {
  const name = '"m v of all   the ""k"" in it, by a b c d e f"'
  const app = await database.session('app')
  await app.query(`create table events (id bigint primary key, kind text);
    insert into events select n, 'x' from generate_series(1, 200) n;
    create materialized view ${name} as select count(*)::int as n from events`)
  const rebuildByHand = () => ebb(['rebuild', 'public.events', '--keep-all', '--url', database.url])

  const printed = (await rebuildByHand()).out.replaceAll(/^-- +/gm, '')
  const statements = /\bdo \$[^]*?commit; drop [^;]*;/.exec(printed.replaceAll(/;\n/g, '; '))?.[0]
  await app.query(statements ?? '')
  expect((await rebuildByHand()).out).not.toContain('Blocking issues')
  await app.query(`insert into events values (201, 'y'); refresh materialized view ${name}`)
  expect((await app.query(`select n from ${name}`)).rows).toEqual([{ n: 201 }])
})
