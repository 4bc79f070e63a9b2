import { describe, expect } from 'vitest'
import { abandon, planRetireOf, planRollbackOf, retire, resume, rollback, status } from '../../src/engine/runs/runs.ts'
import { planLeftoversOf, removeLeftovers } from '../../src/engine/runs/leftovers.ts'
import { retirable } from '../../src/engine/runs/retired.ts'
import type { Event } from '../../src/events.ts'
import type { TableName } from '../../src/sql/names.ts'
import { test, type Database } from '../support/database.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { rebuild } from '../support/commands.ts'
import { beforeStep, stoppedRebuild } from '../support/stopped-rebuild.ts'
import { quietly, written } from '../support/tool.ts'
import { failureOf } from '../support/visits.ts'

// Oids change when a dump is restored, names when people rename, move and drop tables. Whatever a copy has left behind
// can be removed all the same, and nothing else is.

const TABLE: TableName = { schema: 'public', name: 'ev' }

describe('after a rebuild', () => {
  const MISHAPS: Record<string, (database: Database) => Promise<void>> = {
    'the database was restored from a dump': restore,
    'the retired table was dropped by hand': asOwner('drop table ev_retired'),
    'the table was renamed': asOwner('alter table ev rename to ev2'),
    'the table was moved': asOwner('create schema s; alter table ev set schema s'),
    'the table was dropped': asOwner('drop table ev'),
    'the retired table was renamed': asOwner('alter table ev_retired rename to "Kept"'),
    'both were renamed': asOwner('alter table ev rename to ev2; alter table ev_retired rename to "Kept"'),
    'both were dropped': asOwner('drop table ev, ev_retired'),
  }

  test.for(Object.entries(MISHAPS))('%s: retire removes all that is left', async ([, mishap], { database }) => {
    const { runId } = await rebuilt(database)
    await mishap(database)
    const [left] = await retirable(database.url, quietly())
    expect(left).toMatchObject({ runId })
    const before = await tablesOf(database)

    await retire(database.url, { runId }, quietly())

    const kept = [left?.retired?.name.name ?? '']
    expect(await tablesOf(database)).toEqual(before.filter((name) => !kept.includes(name)))
    await expectNothingOfOurs(database)
    expect(await retirable(database.url, quietly())).toEqual([])
    expect(await failureOf(retire(database.url, { runId }, quietly()))).toMatchObject({ kind: 'usage' })
  })

  test.for(['restored', 'not restored'])('another table with the name is left alone: %s', async (how, { database }) => {
    const { runId } = await rebuilt(database)
    await asOwner('drop table ev_retired; create table ev_retired (id bigint, other int)')(database)
    if (how === 'restored') await restoreCaptures(database)

    const plan = await planRetireOf(database.url, { runId }, quietly())
    expect(plan.evidence.join()).toContain('is left alone')
    await retire(database.url, { runId }, quietly())

    expect(await tablesOf(database)).toEqual(['ev', 'ev_retired'])
    await expectNothingOfOurs(database)
  })

  test.for([
    ['restored', restore],
    ['renamed', asOwner('alter table ev_retired rename to "Kept"')],
  ] as const)(
    '%s, and stopped between its two steps, retire finishes when called again',
    async ([, mishap], { database }) => {
      const { runId } = await rebuilt(database)
      await mishap(database)
      const stop = new AbortController()
      const observer = (event: Event) => void (beforeStep('retire:capture')(event) && stop.abort())
      await failureOf(retire(database.url, { runId }, quietly({ signal: stop.signal, observer })))
      expect(await tablesOf(database)).toEqual(['ev'])

      await retire(database.url, { runId }, quietly())
      await expectNothingOfOurs(database)
    },
  )

  test('a rollback reports the renamed table, and how to rename it back', async ({ database }) => {
    const { runId } = await rebuilt(database)
    await asOwner('alter table ev_retired rename to "Kept"')(database)
    const { objections } = await planRollbackOf(database.url, { runId }, quietly())
    expect(objections).toMatchObject([
      { code: 'retired-renamed', fix: 'Give it its name back: alter table "public"."Kept" rename to "ev_retired"' },
    ])
    await asOwner(`${objections[0]?.fix.replace(/^[^:]+: /, '')}; alter table ev rename to ev2`)(database)
    expect(await failureOf(planRollbackOf(database.url, { runId }, quietly()))).toMatchObject({
      advice: { next: expect.stringContaining('alter table "public"."ev2" rename to "ev"') as string },
    })
    await asOwner('alter table ev2 rename to ev')(database)
    await rollback(database.url, { runId }, quietly())
    expect(await tablesOf(database)).toEqual(['ev'])
  })

  test('in a restored database changes may be missing, so rollback is refused', async ({ database }) => {
    const { runId } = await rebuilt(database)
    await restore(database)
    const { objections } = await planRollbackOf(database.url, { runId }, quietly())
    expect(objections.map(({ code }) => code)).toEqual(['gap'])
  })
})

describe('an unfinished rebuild', () => {
  const MISHAPS: Record<string, (database: Database) => Promise<void>> = {
    'in a restored database': restore,
    'whose table was renamed': asOwner('alter table ev rename to ev2'),
    'whose table was moved': asOwner('create schema s; alter table ev set schema s'),
    'whose table was dropped': asOwner('drop table ev'),
    'whose table was replaced by one of its name': asOwner(
      'alter table ev rename to ev2; create table ev (id bigint primary key)',
    ),
  }

  test.for(Object.entries(MISHAPS))(
    '%s is not resumed, and abandoned without a trace',
    async ([, mishap], { database }) => {
      await create(database)
      await stoppedRebuild(database, TABLE, beforeStep('swap'))
      await mishap(database)
      const before = await tablesOf(database)

      const failure = await failureOf(resume(database.url, null, quietly()))
      expect(failure.advice.next).toMatch(/ebb abandon|name back/)
      await abandon(database.url, null, quietly())

      expect(await tablesOf(database)).toEqual(before.filter((name) => name !== 'ev_ebb'))
      await expectNothingOfOurs(database)
      expect((await status(database.url, quietly())).runs).toMatchObject([{ status: 'abandoned' }])
    },
  )
})

describe('captures that the journal knows no run of', () => {
  test.for([
    ['of a finished rebuild', 'truncate ebb.run cascade', 'ev_retired'],
    ['of an unfinished one', 'truncate ebb.run cascade', 'ev_ebb'],
    ['in a journal without tables', 'drop table ebb.run, ebb.capture cascade', 'ev_retired'],
    ['whose table was dropped', 'truncate ebb.run cascade; drop table public.ev', 'ev_ebb'],
  ])('%s: status names them, and they can be removed', async ([, lose, beside], { database }) => {
    if (beside === 'ev_retired') await rebuilt(database)
    else {
      await create(database)
      await stoppedRebuild(database, TABLE, beforeStep('swap'))
    }
    // What runs, or can be rolled back, is not to be found here.
    expect((await status(database.url, quietly())).leftovers).toEqual([])
    expect((await planLeftoversOf(database.url, quietly())).steps).toEqual([])
    await database.admin(lose ?? '')
    const before = await tablesOf(database)

    const { leftovers } = await status(database.url, quietly())
    const isDropped = !before.includes('ev')
    const side = beside === 'ev_ebb' ? 'forward' : 'back'
    expect(leftovers).toContainEqual({
      kind: 'change capture',
      name: expect.stringMatching(new RegExp(`^ebb_[0-9a-f]{8}_${side}$`)) as string,
      table: isDropped ? null : TABLE,
      logBytes: expect.any(Number) as number,
    })
    await removeLeftovers(database.url, quietly())

    await expectNothingOfOurs(database)
    expect(await tablesOf(database)).toEqual(before)
    if (!isDropped) await asOwner(`insert into ev (b) values ('after')`)(database)
    expect((await status(database.url, quietly())).leftovers).toEqual([])
  })
})

function asOwner(statements: string): (database: Database) => Promise<void> {
  return async (database) => void (await (await database.session('owner')).query(statements))
}

async function create(database: Database): Promise<void> {
  const app = await database.session('app')
  await app.query(`create table ev (id bigint generated always as identity primary key, b text);
    insert into ev (b) select 'x' from generate_series(1, 50)`)
}

async function rebuilt(database: Database): Promise<{ readonly runId: string }> {
  await create(database)
  return rebuild(database.url, written(TABLE), rebuildRequest(), quietly())
}

/** What a dump and its restoration do: everything is there, under its name, and has another oid. */
async function restore(database: Database): Promise<void> {
  await asOwner(`
    do $$ declare r record; begin
      for r in select c.oid::regclass as name, c.relname from pg_class c
        where c.relname in ('ev_retired') and c.relkind = 'r' loop
        execute format('create table copied (like %s including all); insert into copied overriding system value select * from %s; drop table %s; alter table copied rename to %I',
          r.name, r.name, r.name, r.relname);
      end loop;
    end $$`)(database)
  await restoreCaptures(database)
}

async function restoreCaptures(database: Database): Promise<void> {
  await asOwner(`
    do $$ declare r record; definition text; begin
      for r in select p.oid, p.proname, p.oid::regprocedure as name, array_agg(pg_get_triggerdef(t.oid)) as triggers,
          array_agg(format('drop trigger %I on %s', t.tgname, t.tgrelid::regclass)) as drops,
          array_agg(format('alter table %s enable always trigger %I', t.tgrelid::regclass, t.tgname)) as states
        from pg_proc p join pg_trigger t on t.tgfoid = p.oid where p.proname like 'ebb\\_%capture' group by p.oid loop
        definition := pg_get_functiondef(r.oid);
        execute array_to_string(r.drops, ';');
        execute 'drop function ' || r.name;
        execute definition;
        execute array_to_string(r.triggers, ';');
        execute array_to_string(r.states, ';');
      end loop;
    end $$`)(database)
}

async function tablesOf(database: Database): Promise<string[]> {
  const { rows } = await database.admin<{ name: string }>(
    `select c.relname as name from pg_class c where c.relkind = 'r' and c.relnamespace in
      (select oid from pg_namespace where nspname in ('public', 's')) order by 1`,
  )
  return rows.map(({ name }) => name)
}

async function expectNothingOfOurs(database: Database): Promise<void> {
  const { rows } = await database.admin(
    `select tgname as name from pg_trigger where tgname like 'ebb%' union all select proname from pg_proc where proname like 'ebb\\_%'
      union all select relname from pg_class where relname ~ '_(log|gap)$'`,
  )
  expect(rows).toEqual([])
}
