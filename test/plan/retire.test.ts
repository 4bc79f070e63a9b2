import { expect, test } from 'vitest'
import { planRetire } from '../../src/plan/copy/undo.ts'
import { AWFUL, AWFUL_SQL, table } from '../support/models.ts'
import { blocking, keys, kinds, sqlOf, stepOf } from './support/gist.ts'
import { rebuilt } from './support/situations.ts'

test('the capture goes first, for it writes into what is dropped then', () => {
  const plan = planRetire('7', rebuilt())

  expect(keys(plan)).toEqual(['retire:capture', 'retire:drop'])
  expect(kinds(plan)).toEqual(['short lock', 'online'])
  expect(sqlOf(plan, 'retire:capture').slice(0, 2)).toEqual([
    'drop trigger if exists "ebb_0a1b2c3d_back_capture" on "public"."events"',
    'drop trigger if exists "ebb_0a1b2c3d_back_truncated" on "public"."events"',
  ])
  expect(sqlOf(plan, 'retire:drop').at(-1)).toBe('drop table if exists "public"."events_retired"')
})

test('the table in use is locked for a moment, the retired one without anybody noticing', () => {
  const plan = planRetire('7', rebuilt())

  expect(blocking(plan)).toEqual({
    'retire:capture': ['public.events: ACCESS EXCLUSIVE, blocks reads and writes'],
  })
  expect(stepOf(plan, 'short lock', 'retire:capture').acquire).toEqual([
    'lock table "public"."events" in access exclusive mode',
  ])
})

test('names are quoted, whatever they hold', () => {
  const plan = planRetire('7', rebuilt({ table: table({ name: AWFUL }) }))

  expect(sqlOf(plan, 'retire:capture')[0]).toMatch(new RegExp(` on ${AWFUL_SQL.replaceAll('.', '\\.')}$`))
  expect(sqlOf(plan, 'retire:drop').at(-1)).toBe('drop table if exists "My.sch""ema"."Big ""Ta.ble_retired"')
})
