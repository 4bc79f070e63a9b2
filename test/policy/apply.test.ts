import { expect } from 'vitest'
import { applyPolicy, ObjectionsError, status } from '../../src/index.ts'
import { sql } from '../../src/sql/sql.ts'
import { test } from '../support/database.ts'

test('a policy is put in force, and a weaker one is accepted once, by name', async ({ database }) => {
  await database.admin(`
    set role ebb_owner;
    create table public.events (at timestamptz not null) partition by range (at);
    create table public.events_2026_11 partition of public.events for values from ('2026-11-01') to ('2026-12-01')`)
  const policy = { partition: { by: 'at', every: 'month', premake: 2 }, keep: '90 days', archive: 'none' } as const
  const options = { table: 'public.events', policy }
  expect(await applyPolicy(database.url, options)).toMatchObject({ objections: [], differs: true })
  expect((await status(database.url)).sets).toEqual([])
  // Two at once record it once.
  await Promise.all([1, 2].map(() => applyPolicy(database.url, { ...options, execute: true })))
  expect(await applyPolicy(database.url, options)).toMatchObject({ differs: false })
  expect((await status(database.url)).sets).toMatchObject([
    {
      table: { schema: 'public', name: 'events' },
      policy: { column: 'at', premake: 2, keep: { count: 90, unit: 'day' } },
    },
  ])

  const shorter = { ...options, policy: { ...policy, keep: '9 days' }, execute: true }
  await expect(applyPolicy(database.url, shorter)).rejects.toThrow(ObjectionsError)
  await expect(applyPolicy(database.url, shorter)).rejects.toThrow(/keep is 9 days, and 90 days in force/)
  await applyPolicy(database.url, { ...shorter, accept: ['shorter-keep:public.events'] })
  // From now on it is what is in force.
  expect(await applyPolicy(database.url, shorter)).toMatchObject({ objections: [], differs: false })
  expect((await status(database.url)).sets).toMatchObject([{ policy: { keep: { count: 9 } } }])
  const { rows } = await database.admin(sql`select accepted, recorded_by from ebb.policy order by id`)
  expect(rows).toEqual([
    { accepted: [], recorded_by: expect.any(String) as string },
    { accepted: ['shorter-keep:public.events'], recorded_by: expect.any(String) as string },
  ])
})
