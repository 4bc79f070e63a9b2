import { describe, expect, test } from 'vitest'
import { planAbandonView, planView } from '../../src/plan/view/view.ts'
import { OUR_SETTINGS } from '../../src/sql/condition-settings.ts'
import { AWFUL, AWFUL_SQL, column, condition, named, predicate, server, table } from '../support/models.ts'
import { blocking, codes, keys, locksOf, sqlOf } from './support/gist.ts'
import { viewRequest, viewSituation } from './support/situations.ts'

const ours = table({ kind: 'view', name: named('events_live'), comment: 'Kept by ebb view: without rows …' })
const nothingOld = { keep: null }

function planOf(overrides: Parameters<typeof viewSituation>[0] = {}, request = viewRequest()) {
  return planView(viewSituation(overrides), request)
}

function readable(by: string | null, of: string | null = null) {
  return { column: of, privilege: 'SELECT', grantee: by, grantor: 'ebb_owner', grantable: false }
}

describe('the step', () => {
  test('one transaction, for which no other session waits', () => {
    expect(keys(planOf())).toEqual(['view'])
    expect(locksOf(planOf(), 'view')).toEqual(['public.events: ACCESS SHARE, blocks nothing'])
  })

  test('an existing view is replaced, and its readers wait briefly', () => {
    expect(blocking(planOf({ existing: ours }))).toEqual({
      view: ['public.events_live: ACCESS EXCLUSIVE, blocks reads and writes'],
    })
  })

  test('now() is evaluated by each query, and operators are PostgreSQL’s own', () => {
    expect(sqlOf(planOf(), 'view')[0]).toBe(
      `create or replace view "public"."events_live" with (security_invoker=true) as select "id", "at", "kind" from "public"."events" where ("at" operator(pg_catalog.>=) (pg_catalog.now() operator(pg_catalog.-) interval '1 day'))`,
    )
  })

  test('a row without a time does not expire', () => {
    const open = table({ columns: [column('at', undefined, { notNull: false })] })

    expect(sqlOf(planOf({ table: open }), 'view')[0]).toMatch(/ or "at" is null\)\)$/)
  })

  test('marked rows are hidden', () => {
    const marked = table({ columns: [column('id', 'bigint'), column('gone', 'boolean')] })

    expect(sqlOf(planOf({ table: marked }, viewRequest({ ...nothingOld, hideMarked: 'gone' })), 'view')[0]).toMatch(
      /where \("gone" is not true\)$/,
    )
  })

  test('a condition uses the settings of the role, and nothing else does', () => {
    const plan = planOf(
      {
        expired: predicate('old(at) -- or not'),
        condition: condition({ settings: { ...OUR_SETTINGS, search_path: 'app' } }),
      },
      viewRequest({ ...nothingOld, expired: 'old(at) -- or not' }),
    )
    const [under, definition, back] = sqlOf(plan, 'view')

    expect(under).toBe('set local search_path to "app"')
    expect(definition).toMatch(/where \(\(old\(at\) -- or not\n\) is not true\)$/)
    expect(back).toBe(`set local search_path to ''`)
  })

  test('before 15 there is no security_invoker', () => {
    expect(sqlOf(planOf({ server: server({ version: 140014 }) }), 'view')[0]).toMatch(
      /^create or replace view "public"\."events_live" as select/,
    )
  })

  test('names are quoted', () => {
    const plan = planOf({ table: table({ name: AWFUL }), name: { ...AWFUL, name: 'Li"ve' } })

    expect(sqlOf(plan, 'view')[0]).toContain('view "My.sch""ema"."Li""ve" with')
    expect(sqlOf(plan, 'view')[0]).toContain(`from ${AWFUL_SQL} where`)
  })
})

describe('one that is there', () => {
  const options = ['security_invoker=true']
  const print = '4f2a'
  const known = (version: number, by: string) =>
    planOf({
      print,
      existing: {
        ...ours,
        options,
        comment: `Kept by ebb view: without rows older than 1 day by at (as PostgreSQL ${version} prints it: ${by})`,
      },
    })

  test('is left alone as long as PostgreSQL prints it as it did', () => {
    expect(known(17, print)).toMatchObject({ isCurrent: true })
  })

  test('is replaced where it was redefined by hand, and the plan says so', () => {
    expect(known(17, '5b6c')).toMatchObject({ isCurrent: false })
    expect(known(17, '5b6c').notes.join('\n')).toMatch('public.events_live was redefined by hand, and is replaced')
  })

  test('is made anew after an upgrade, for another version may print it otherwise', () => {
    expect(known(16, '5b6c')).toMatchObject({ isCurrent: false })
    expect(known(16, '5b6c').notes.join('\n')).not.toMatch('by hand')
  })
})

describe('readers', () => {
  test('roles that may read the table, column by column', () => {
    const granted = table({ grants: [readable('Re"ader'), readable(null, 'id'), readable('ebb_owner')] })

    expect(sqlOf(planOf({ table: granted }), 'view').slice(2)).toEqual([
      'grant select on "public"."events_live" to "Re""ader"',
      'grant select ("id") on "public"."events_live" to public',
    ])
  })

  test('no others: neither by default privileges nor from before', () => {
    expect(sqlOf(planOf({ table: table({ defaultGrantees: ['others'] }) }), 'view')).toContain(
      'revoke all on "public"."events_live" from "others"',
    )
    expect(sqlOf(planOf({ existing: { ...ours, grants: [readable('gone')] } }), 'view')).toContain(
      'revoke all on "public"."events_live" from "gone"',
    )
  })

  test('are granted after the view has its final owner', () => {
    const owned = table({ owner: 'boss', grants: [readable('reader')] })

    expect(sqlOf(planOf({ table: owned }), 'view').slice(2)).toEqual([
      'alter table "public"."events_live" owner to "boss"',
      'grant select on "public"."events_live" to "reader"',
    ])
  })
})

test.each<[string, Parameters<typeof viewSituation>[0], Parameters<typeof viewRequest>[0], string]>([
  ['the server is a replica', { server: server({ inRecovery: true }) }, {}, 'replica'],
  ['not a table', { table: table({ kind: 'view' }) }, {}, 'no-table'],
  ['a column that cannot hold a mark', {}, { hideMarked: 'kind' }, 'mark-column'],
  ['a column that is not there', {}, { hideMarked: 'gone' }, 'mark-column'],
  ['an age that is no time', {}, { keep: { by: 'id', interval: { count: 1, unit: 'day' } } }, 'view-key'],
  ['an age that is not there', {}, { keep: { by: 'seen', interval: { count: 1, unit: 'day' } } }, 'view-key'],
  ['a condition of chance', { condition: condition({ volatile: ['random'] }) }, {}, 'volatile:random'],
  [
    'policies that a view would pass by',
    { server: server({ version: 140014 }), table: table({ rowSecurity: 'on' }) },
    {},
    'row-security',
  ],
  ['no right to make it', { mayCreate: false }, {}, 'schema-create'],
  ['a table has the name', { existing: table({ name: named('events_live') }) }, {}, 'view-name'],
  ['a view of others has the name', { existing: { ...ours, comment: null } }, {}, 'view-name'],
  ['columns have changed', { existing: { ...ours, columns: [column('id', 'integer')] } }, {}, 'view-columns'],
  [
    'columns have been dropped',
    { existing: { ...ours, columns: [...ours.columns, column('old', 'text')] } },
    {},
    'view-columns',
  ],
])('objects: %s', (_, situation, request, code) => {
  const plan = planOf(situation, viewRequest(request))

  expect(codes(plan)).toEqual([code])
  expect(plan.objections[0]?.acceptable).toBe(false)
  expect(plan.steps).toEqual([])
})

test('a column added since is no objection', () => {
  expect(codes(planOf({ existing: { ...ours, columns: ours.columns.slice(0, 2) } }))).toEqual([])
})

test('abandoning changes nothing', () => {
  expect(planAbandonView('7', named('events')).steps).toMatchObject([{ key: 'abandon:view', statements: [] }])
})
