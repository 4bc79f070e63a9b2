import { describe, expect, test } from 'vitest'
import { planRetire } from '../../src/plan/copy/retire.ts'
import { dropTable } from '../../src/sql/drop-table.ts'
import { AWFUL, AWFUL_SQL, named, table } from '../support/models.ts'
import { blocking, codes, keys, kinds, sqlOf, stepOf } from './support/gist.ts'
import { kept, rebuilt } from './support/situations.ts'

const REBUILT = rebuilt()
const KEPT = kept(REBUILT)

test('the table is dropped first: its capture shows what is left after an interruption', () => {
  const plan = planRetire('7', REBUILT, KEPT)

  expect(keys(plan)).toEqual(['retire:drop', 'retire:capture'])
  expect(kinds(plan)).toEqual(['online', 'short lock'])
  expect(sqlOf(plan, 'retire:capture').slice(0, 2)).toEqual([
    'drop trigger if exists "ebb_0a1b2c3d_back_capture" on "public"."events"',
    'drop trigger if exists "ebb_0a1b2c3d_back_truncated" on "public"."events"',
  ])
  expect(sqlOf(plan, 'retire:drop').at(-1)).toBe(dropTable({ name: named('events_retired'), oid: '16399' }))
})

test('the table in use is locked briefly, the retired one without waiting sessions', () => {
  const plan = planRetire('7', REBUILT, KEPT)

  expect(blocking(plan)).toEqual({
    'retire:capture': ['public.events: ACCESS EXCLUSIVE, blocks reads and writes'],
  })
  expect(stepOf(plan, 'short lock', 'retire:capture').acquire).toEqual([
    'lock table "public"."events" in access exclusive mode',
  ])
})

describe('rows left out that are to be archived', () => {
  const to = { uri: 'file:///a', format: 'csv', compression: 'gzip', partBytes: 1e6, encryptTo: [] } as const
  const archive = { command: 'rebuild', to, table: named('events'), partitionOf: null } as const
  const leavingOut = {
    ...rebuilt({}),
    forward: { ...REBUILT.forward, keep: 'id > 7' },
    archive: { ...archive, horizon: null, estimatedRows: null },
  }
  const none = { noArchive: false, receipt: null, changed: false }

  test('come first, from the table as it is called now, unless they have a receipt', () => {
    const plan = planRetire('7', leavingOut, { ...KEPT, retired: named('old') }, none)
    expect(keys(plan)).toEqual(['retire:archive', 'retire:drop', 'retire:capture'])
    expect(stepOf(plan, 'archive', 'retire:archive').work.rows).toMatchObject({
      table: named('old'),
      as: named('events'),
      oid: '16399',
      where: '(id > 7) is not true',
    })
    const archived = planRetire('7', leavingOut, KEPT, { ...none, receipt: 'file:///a/receipt.json' })
    expect(keys(archived)).toEqual(['retire:drop', 'retire:capture'])
    expect(archived.evidence.join()).toContain('are archived: file:///a/receipt.json')
  })

  test('go without by the user’s word, or with their table', () => {
    expect(keys(planRetire('7', leavingOut, KEPT, { ...none, noArchive: true }))).not.toContain('retire:archive')
    expect(keys(planRetire('7', leavingOut, { ...KEPT, retired: null, retiredOid: null }, none))).toEqual([
      'retire:capture',
    ])
  })

  test('are not told from others after an abandoned rollback', () => {
    const plan = planRetire('7', leavingOut, KEPT, { ...none, changed: true })
    expect(codes(plan)).toEqual(['left-out-changed'])
    expect(plan.steps).toEqual([])
    expect(codes(planRetire('7', leavingOut, KEPT, { ...none, changed: true, receipt: 'a' }))).toEqual([])
  })
})

test('names are quoted', () => {
  const awful = rebuilt({ table: table({ name: AWFUL }) })
  const plan = planRetire('7', awful, kept(awful))

  expect(sqlOf(plan, 'retire:capture')[0]).toMatch(new RegExp(` on ${AWFUL_SQL.replaceAll('.', '\\.')}$`))
  expect(sqlOf(plan, 'retire:drop').at(-1)).toContain('drop table "My.sch""ema"."Big ""Ta.ble_retired"')
})

describe('the current state counts, not the recorded one:', () => {
  test('of a renamed table', () => {
    const plan = planRetire('7', REBUILT, { ...KEPT, captured: named('ev2'), retired: named('old') })

    expect(sqlOf(plan, 'retire:capture')[0]).toMatch(/ on "public"."ev2"$/)
    expect(sqlOf(plan, 'retire:drop').at(-1)).toContain('drop table "public"."old"')
  })

  test('a retired table dropped by hand: its capture ends', () => {
    const plan = planRetire('7', REBUILT, { ...KEPT, retired: null })

    expect(keys(plan)).toEqual(['retire:capture'])
    expect(plan.evidence.join()).toContain('has been dropped already')
  })

  test('in a restored database it may have been renamed: then it stays, and the plan does not say that it is gone', () => {
    const plan = planRetire('7', REBUILT, { ...KEPT, retired: null, restored: true })

    expect(keys(plan)).toEqual(['retire:capture'])
    expect(plan.evidence.join()).toContain('dropped, or renamed before the dump, and then it stays')
  })

  test('a captured table that was dropped: nothing to lock', () => {
    expect(keys(planRetire('7', REBUILT, { ...KEPT, captured: null }))).toEqual(['retire:drop', 'retire:log'])
  })

  test('another table of that name is kept', () => {
    const plan = planRetire('7', REBUILT, { ...KEPT, retired: null, nameTaken: true })

    expect(plan.evidence.join()).toContain('is left alone')
    expect(keys(plan)).toEqual(['retire:capture'])
  })
})
