import { describe, expect } from 'vitest'
import { inspect } from '../../src/engine/commands/inspect.ts'
import { planRotations } from '../../src/engine/commands/rotate.ts'
import { abandon, resume, rollback } from '../../src/engine/runs/runs.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { contentOf, markRequest, purgeRequest } from '../support/purging.ts'
import { test, type Database } from '../support/database.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { quietly, written } from '../support/tool.ts'
import { mark, planCandidatesOf, planPurgeOf, planRebuildOf, purge, rebuild } from '../support/commands.ts'

// What a superuser would run for others, when Ebb works on their table. Here it writes down as whom it was run.

/** A table of the usual role, with a trigger of the usual role's that tells as whom it runs. */
async function trapped(database: Database): Promise<TableName> {
  const table = database.table('p')
  const owner = await database.session('owner', { role: 'ebb_owner' })
  for (const statement of [
    'create table p (id int primary key, old bool, gone bool)',
    'insert into p select g, g % 2 = 0 from generate_series(1, 40) g',
    'create table public.witness (who text)',
    'grant all on public.witness to public',
    `create function public.tell() returns trigger language plpgsql as $$ begin insert into public.witness values (current_user); return null; end $$`,
    'create trigger t after insert or update or delete on p for each statement execute function public.tell()',
  ])
    await owner.query(statement.replaceAll(/\bp\b/g, quoted(table).text))
  return table
}

async function witnesses(database: Database): Promise<string[]> {
  return (await database.admin<{ who: string }>('select distinct who from public.witness')).rows.map(({ who }) => who)
}

const CODE = 'code-of-others:public.tell()'
const REFUSED = { plan: { objections: [{ code: CODE, acceptable: true }] } }

describe('code of other roles', () => {
  test('is not executed with the rights of a superuser, by any command', async ({ database }) => {
    const table = await trapped(database)
    const name = written(table)
    const { adminUrl } = database
    const marking = markRequest('old', 'gone')
    await expect(purge(adminUrl, name, purgeRequest('old'), quietly())).rejects.toMatchObject(REFUSED)
    await expect(mark(adminUrl, name, marking, quietly())).rejects.toMatchObject(REFUSED)
    await expect(rebuild(adminUrl, name, rebuildRequest(), quietly())).rejects.toMatchObject(REFUSED)
    for (const plan of [
      await planPurgeOf(adminUrl, name, purgeRequest('old'), quietly()),
      await planRebuildOf(adminUrl, name, rebuildRequest(), quietly()),
      await planCandidatesOf(adminUrl, name, { where: 'old' }, quietly()),
      ...(await planRotations(
        adminUrl,
        {
          tables: [name],
          keep: null,
          retire: 'drop',
          grace: null,
          archive: null,
          noArchive: true,
          forget: false,
          accept: [],
        },
        quietly(),
      )),
    ])
      expect(plan.objections).toMatchObject(REFUSED.plan.objections)
    await expect(inspect(adminUrl, name, quietly())).rejects.toMatchObject({ kind: 'objections' })
    expect(await witnesses(database)).toEqual([])
    expect(await contentOf(database, table)).toMatchObject({ rows: 40 })
  })

  test('is executed if accepted by name, and by its owner', async ({ database }) => {
    const table = await trapped(database)
    await purge(database.adminUrl, written(table), purgeRequest('id = 2'), quietly({ accept: [CODE] }))
    await purge(
      database.urlFor('ebb_owner'),
      written(table),
      purgeRequest('id = 4', {}),
      quietly({ journalSchema: 'own' }),
    )
    expect((await witnesses(database)).length).toBe(2)
    expect(await contentOf(database, table)).toMatchObject({ rows: 38 })
  })

  test('added since a run began is not executed when it is resumed', async ({ database }) => {
    const table = database.table('p')
    const owner = await database.session('owner', { role: 'ebb_owner' })
    await owner.query(sql`create table ${quoted(table)} (id int primary key, old bool)`.text)
    await owner.query(sql`insert into ${quoted(table)} select g, g % 2 = 0 from generate_series(1, 40) g`.text)
    const stop = new AbortController()
    const turns = {
      turn: async () => {
        stop.abort()
        return Promise.resolve({ rows: 1 })
      },
    }
    const begun = purge(database.adminUrl, written(table), purgeRequest('old'), {
      ...quietly({ signal: stop.signal }),
      turns,
    })
    await expect(begun).rejects.toMatchObject({ kind: 'stopped' })
    await owner.query('create table public.witness (who text)')
    await owner.query(
      `create function public.tell() returns trigger language plpgsql as $$ begin insert into public.witness values (current_user); return null; end $$`,
    )
    await owner.query(
      sql`create trigger t after delete on ${quoted(table)} for each statement execute function public.tell()`.text,
    )
    const refused = {
      message: expect.stringMatching(/function public\.tell\(\) of ebb_owner/) as string,
      kind: 'objections',
    }
    await expect(resume(database.adminUrl, { table }, quietly())).rejects.toMatchObject(refused)
    await expect(purge(database.adminUrl, written(table), purgeRequest('old'), quietly())).rejects.toMatchObject(
      refused,
    )
    expect(await witnesses(database)).toEqual([])
    await abandon(database.adminUrl, { table }, quietly())
  })

  test('accepted for a rebuild is not accepted for a rollback', async ({ database }) => {
    const table = await trapped(database)
    const { runId } = await rebuild(database.adminUrl, written(table), rebuildRequest(), quietly({ accept: [CODE] }))
    const refused = { message: expect.stringMatching(/function public\.tell\(\) of ebb_owner/) as string }
    await expect(rollback(database.adminUrl, { runId }, quietly())).rejects.toMatchObject(refused)
    await rollback(database.adminUrl, { runId }, quietly({ accept: [CODE] }))
    expect(await contentOf(database, table)).toMatchObject({ rows: 40 })
  })
})

test('rows of another access method are not treated as heap rows', async ({ database }) => {
  const table = database.table('p')
  await database.admin('create access method heap_of_others type table handler heap_tableam_handler')
  const owner = await database.session('owner')
  await owner.query(
    sql`create table ${quoted(table)} (id int primary key, old bool, gone bool) using heap_of_others`.text,
  )
  await owner.query(sql`insert into ${quoted(table)} select g, g % 2 = 0 from generate_series(1, 40) g`.text)
  const code = { code: expect.stringMatching(/^access-method/) as string }
  const marking = markRequest('old', 'gone')
  const refused = { plan: { objections: [code] } }
  await expect(purge(database.url, written(table), purgeRequest('old'), quietly())).rejects.toMatchObject(refused)
  await expect(mark(database.url, written(table), marking, quietly())).rejects.toMatchObject(refused)
  expect((await planCandidatesOf(database.url, written(table), { where: 'old' }, quietly())).objections).toMatchObject([
    code,
  ])
})
