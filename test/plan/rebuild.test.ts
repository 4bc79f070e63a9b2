import { describe, expect, test } from 'vitest'
import { withReferences, keepingOf } from '../../src/plan/copy/left-out.ts'
import { planRebuild } from '../../src/plan/copy/rebuild.ts'
import {
  AWFUL,
  AWFUL_SQL,
  column,
  condition,
  constraint,
  constraintTrigger,
  foreignKey,
  inbound,
  index,
  named,
  predicate,
  primaryKey,
  privileges,
  sequence,
  server,
  table,
  trigger,
  view,
} from '../support/models.ts'
import { acceptable, blocking, codes, keys, kinds, locksOf, sqlOf, stepOf } from './support/gist.ts'
import { FURNISHED, rebuildRequest, rebuildSituation } from './support/situations.ts'

const key = primaryKey('events_pkey', ['id'])

function planOf(overrides: Parameters<typeof table>[0] = {}, superuser = false) {
  return planRebuild(rebuildSituation({ table: table(overrides), server: server({ superuser }) }), rebuildRequest())
}

const around = rebuildSituation({ predicate: predicate("kind = 'a'"), keptRows: 10 })
const request = rebuildRequest({ keep: "kind = 'a'" })

describe('the steps', () => {
  test('capture, copy, catch up, index, catch up, compare, swap, release', () => {
    expect(keys(planOf())).toEqual([
      'shadow',
      'capture',
      'copy',
      'reconcile-first',
      'index:events_pkey',
      'reconcile',
      'vacuum',
      'verify',
      'way-back',
      'swap',
      'release',
    ])
    expect(kinds(planOf())).toEqual([
      'online',
      'short lock',
      'copy',
      'reconcile',
      'online',
      'reconcile',
      'alone',
      'verify',
      'online',
      'swap',
      'online',
    ])
  })

  test('starting the capture blocks writes, the swap blocks all access, other steps block nothing', () => {
    expect(blocking(planOf())).toEqual({
      capture: ['public.events: SHARE ROW EXCLUSIVE, blocks writes'],
      swap: ['public.events: ACCESS EXCLUSIVE, blocks reads and writes'],
    })
  })

  test('the copy has columns and NOT NULL, but no index and no autovacuum until it has the rows', () => {
    expect(sqlOf(planOf(), 'shadow')[0]).toBe(
      'create table "public"."events_ebb" (like "public"."events" including defaults including generated including storage including compression including comments) with (autovacuum_enabled=false)',
    )
    expect(sqlOf(planOf(), 'index:events_pkey')).toEqual([
      'alter table "public"."events_ebb" add constraint "events_pkey_ebb" PRIMARY KEY (id)',
    ])
  })

  test('the names are exchanged, and changes are captured for a rollback from then on', () => {
    const { statements, work } = stepOf(planOf(), 'swap', 'swap')

    expect(statements.slice(0, 6)).toEqual([
      'alter table "public"."events" rename to "events_retired"',
      'drop trigger "ebb_0a1b2c3d_forward_capture" on "public"."events_retired"',
      'drop trigger "ebb_0a1b2c3d_forward_truncated" on "public"."events_retired"',
      'alter index "public"."events_pkey" rename to "events_pkey_retired"',
      'alter table "public"."events_ebb" rename to "events"',
      'alter table "public"."events" reset (autovacuum_enabled)',
    ])
    expect(statements).toContain('alter index "public"."events_pkey_ebb" rename to "events_pkey"')
    expect(statements.slice(-4, -3)).toEqual([
      'create trigger "ebb_0a1b2c3d_back_capture" after insert or update or delete on "public"."events" for each row execute function "ebb"."ebb_0a1b2c3d_back_capture"()',
    ])
    expect(work?.target).toEqual(named('events_ebb'))
  })

  test('the retired table has neither triggers nor foreign keys', () => {
    const { statements } = stepOf(
      planOf({
        triggers: [trigger('audit')],
        constraints: [key.constraint, foreignKey('of_user', 'user_id', named('users'))],
      }),
      'swap',
      'swap',
    )

    expect(statements).toContain('drop trigger "audit" on "public"."events_retired"')
    expect(statements).toContain('alter table "public"."events_retired" drop constraint if exists "of_user"')
  })

  test('foreign keys are created NOT VALID in the swap, and validated after it', () => {
    const plan = planOf({ constraints: [key.constraint, foreignKey('of_user', 'user_id', named('users'))] })

    expect(sqlOf(plan, 'swap')).toContain(
      'alter table "public"."events" add constraint "of_user" FOREIGN KEY (user_id) REFERENCES public.users(id) NOT VALID',
    )
    expect(sqlOf(plan, 'validate:of_user')).toEqual(['alter table "public"."events" validate constraint "of_user"'])
    expect(keys(plan).indexOf('validate:of_user')).toBe(keys(plan).indexOf('swap') + 1)
  })

  test('keys that were NOT VALID stay so, and foreign keys to the table are validated again', () => {
    const unproven = foreignKey('of_user', 'user_id', named('users'), { validated: false })
    const plan = planOf({
      constraints: [key.constraint, unproven],
      inboundForeignKeys: [inbound(named('details'), 'of_event')],
    })

    expect(keys(plan).slice(-3)).toEqual(['swap', 'validate:public.details.of_event', 'release'])
  })

  test('the swap states every lock it takes, including those on sequences', () => {
    const plan = planOf({
      views: [view(named('recent'))],
      inboundForeignKeys: [inbound(named('details'), 'of_event')],
      constraints: [key.constraint, foreignKey('of_user', 'user_id', named('users'))],
      sequences: [sequence('events_id_seq', 'id')],
    })

    expect(stepOf(plan, 'swap', 'swap').acquire).toHaveLength(5)
    expect(locksOf(plan, 'swap')).toEqual([
      ...['recent', 'events', 'details', 'users'].map(
        (one) => `public.${one}: ACCESS EXCLUSIVE, blocks reads and writes`,
      ),
      'public.events_id_seq: SHARE ROW EXCLUSIVE, blocks writes',
    ])
  })

  test('an identity is carried over with its position', () => {
    const plan = planOf({
      columns: [column('id', 'bigint', { identity: 'always' })],
      sequences: [sequence('events_id_seq', 'id', { identity: true })],
    })

    expect(locksOf(plan, 'swap')).toContain('public.events_id_seq: ACCESS EXCLUSIVE, blocks reads and writes')
    expect(stepOf(plan, 'swap', 'swap').acquire).toContain(
      'alter sequence "public"."events_id_seq" rename to "events_id_seq_retired"',
    )
    expect(sqlOf(plan, 'swap')).toContain(
      `select pg_catalog.setval('"public"."events_id_seq"'::pg_catalog.regclass, last_value, is_called) from "public"."events_id_seq_retired"`,
    )
  })

  test('extended statistics are created in the swap, and analyzed', () => {
    expect(keys(planRebuild(rebuildSituation({ table: FURNISHED }), rebuildRequest())).at(-1)).toBe('analyze')
  })

  test('statements that call functions run under the expected search path', () => {
    const checked = table({ constraints: [key.constraint, constraint('sane', 'check', 'CHECK (sane(id))')] })
    const plan = planRebuild(
      rebuildSituation({ table: checked, condition: condition({ settings: { search_path: 'app' } }) }),
      rebuildRequest(),
    )

    expect(sqlOf(plan, 'check:sane')).toEqual([
      'set local search_path to "pg_catalog", "app"',
      'alter table "public"."events_ebb" add constraint "sane" CHECK (sane(id))',
      `set local search_path to ''`,
    ])
    expect(sqlOf(plan, 'vacuum')[0]).toBe('set search_path to "pg_catalog", "app"')
  })
})

describe('the rows to keep', () => {
  test('the condition applies to the copy; a rollback keeps all rows', () => {
    const { rebuild } = planRebuild(around, request)

    expect(rebuild?.forward.keep).toBe("kind = 'a'")
    expect(rebuild?.back.keep).toBeNull()
  })

  test('the others are archived last, from the retired table, in the name of the table', () => {
    const archive = { uri: 'file:///a', format: 'csv', compression: 'gzip', partBytes: 1e6, encryptTo: [] } as const
    const plan = planRebuild(around, { ...request, noArchive: false, archive })

    expect(codes(plan)).toEqual([])
    expect(plan.steps.at(-1)?.key).toBe('archive')
    expect(stepOf(plan, 'archive', 'archive').work).toMatchObject({
      command: 'rebuild',
      rows: {
        table: named('events_retired'),
        as: named('events'),
        oid: around.table.oid,
        chosen: "where (kind = 'a') is not true",
      },
    })
    expect(kinds(planRebuild(around, { ...request, keep: null, archive }))).not.toContain('archive')
    const predicate = { written: 'true -- all', text: 'true -- all', uses: null }
    const commented = planRebuild({ ...around, predicate }, { ...request, archive })
    expect(stepOf(commented, 'archive', 'archive').work.rows.chosen).toBe('where (true -- all\n) is not true')
  })

  test('without --archive or --no-archive the others would be lost', () => {
    const plan = planRebuild(around, { ...request, noArchive: false })

    expect(codes(plan)).toEqual(['archive'])
    expect(plan.steps).toEqual([])
    expect(plan.rebuild).toBeNull()
  })

  test.each([
    [condition({ volatile: ['random'] }), 'volatile:random'],
    [condition({ stable: ['is_new'] }), 'stable:is_new'],
    [condition({ unheeded: ['extra_float_digits = 0'] }), 'condition-settings:extra_float_digits'],
  ])('an unusable condition: %o', (facts, code) => {
    expect(codes(planRebuild({ ...around, condition: facts }, request))).toEqual([code])
  })

  describe('and rows elsewhere that reference others', () => {
    const plan = planRebuild(around, request)
    const keeping = keepingOf(plan)
    const reference = { from: named('details'), name: 'of_event', query: 'select 1' }

    test('are an objection if there are any', () => {
      if (keeping === null) throw new Error('nothing is left out')
      const refused = withReferences(plan, keeping, [{ ...reference, found: 'some' }])

      expect(codes(refused)).toEqual(['referred:public.details.of_event'])
      expect(refused.steps).toEqual([])
      expect(refused.rebuild).toBeNull()
    })

    test.each(['none', 'unknown'] as const)('are checked right before the swap (%s now)', (found) => {
      if (keeping === null) throw new Error('nothing is left out')
      const asked = withReferences(plan, keeping, [{ ...reference, found }])

      expect(keys(asked).slice(-3)).toEqual(['referred:public.details.of_event', 'swap', 'release'])
      expect(asked.notes).toHaveLength(found === 'unknown' ? 1 : 0)
    })

    test('do not exist if all rows are kept', () => {
      expect(keepingOf(planOf())).toBeNull()
    })
  })
})

describe('names', () => {
  test('are quoted', () => {
    const plan = planRebuild(
      rebuildSituation({ table: table({ name: AWFUL }), taken: new Set([AWFUL.name, 'events_pkey']) }),
      rebuildRequest(),
    )

    expect(sqlOf(plan, 'capture')[0]).toContain(` on ${AWFUL_SQL} for each row `)
    expect(sqlOf(plan, 'swap')[0]).toBe(`alter table ${AWFUL_SQL} rename to "Big ""Ta.ble_retired"`)
  })

  test('of 63 bytes leave distinct names for the copy and the retired table', () => {
    const long = named('x'.repeat(63))
    const plan = planRebuild(
      rebuildSituation({ table: table({ name: long }), taken: new Set([long.name]) }),
      rebuildRequest(),
    )

    expect(plan.rebuild?.shadow.name).toBe(`${'x'.repeat(59)}_ebb`)
    expect(plan.rebuild?.retired.name).toBe(`${'x'.repeat(55)}_retired`)
  })

  test('that are taken are not used', () => {
    const plan = planRebuild(rebuildSituation({ taken: new Set(['events_ebb', 'events_retired']) }), rebuildRequest())

    expect(plan.rebuild?.shadow.name).toBe('events_ebb_2')
    expect(plan.rebuild?.retired.name).toBe('events_retired_2')
  })
})

describe('disabled foreign keys', () => {
  const off = {
    constraints: [key.constraint, foreignKey('of_user', 'user_id', named('users'))],
    inboundForeignKeys: [inbound(named('details'), 'of_event')],
    constraintTriggers: [
      constraintTrigger('of_user', named('events')),
      constraintTrigger('of_event', named('details'), { enabled: 'replica' }),
    ],
  }

  test('stay disabled where a superuser rebuilds, and are not validated, since they may be violated', () => {
    const plan = planOf(off, true)

    expect(codes(plan)).toEqual([])
    expect(keys(plan).filter((one) => /^validate|referring/.test(one))).toEqual([])
    expect(sqlOf(plan, 'swap').filter((one) => /^do /.test(one))).toEqual([
      expect.stringMatching(/'of_user', .*'RI_FKey_check_ins', 'disable'.*'of_event', .*'enable replica'/s),
    ])
  })

  test('enforced more often than usual are validated, and stay so', () => {
    const always = [constraintTrigger('of_user', named('events'), { enabled: 'always' })]
    const plan = planOf({ ...off, constraintTriggers: always }, true)

    expect(keys(plan)).toContain('validate:of_user')
    expect(codes(planOf({ ...off, constraintTriggers: always }))).toEqual(['always:of_user'])
  })

  test('are an objection if partitions differ, or for a unique constraint', () => {
    for (const trigger of [
      constraintTrigger('of_event', named('details'), { enabled: 'mixed' }),
      constraintTrigger('events_pkey', named('events'), { function: 'unique_key_recheck' }),
    ])
      expect(codes(planOf({ constraintTriggers: [trigger] }, true))).toEqual(['disabled-foreign-keys'])
  })
})

describe('objections', () => {
  test.each<[string, Parameters<typeof table>[0], string]>([
    ['a view', { kind: 'view' }, 'view'],
    ['no key', { indexes: [], constraints: [] }, 'no-key'],
    ['a key that may be null', { columns: [column('id', 'bigint', { notNull: false })] }, 'no-key'],
    ['a key that is checked at the commit', keyed({ deferrable: true }), 'no-key'],
    ['a broken index', { indexes: [key.index, index('half', ['kind'], { valid: false })] }, 'invalid-index:half'],
    ['captured already', { triggers: [trigger('ebb_0a1b2c3d_back_capture')] }, 'captured'],
    [
      'published with all tables',
      { publications: [{ name: 'p', owner: 'o', covers: 'all tables', viaRoot: true, columns: null, filter: null }] },
      'publication:p',
    ],
    ['excepted from a publication', { exceptedFrom: ['p'] }, 'excepted:p'],
    [
      'constraints switched off',
      { constraintTriggers: [constraintTrigger('c', named('events'))] },
      'disabled-foreign-keys',
    ],
  ])('%s', (_, model, code) => {
    const plan = planOf(model)

    expect(codes(plan)).toEqual([code])
    expect(acceptable(plan)).toEqual([])
    expect(plan.steps).toEqual([])
    expect(plan.rebuild).toBeNull()
  })

  test.each<[string, Parameters<typeof table>[0]]>([
    ['an exclusion', { constraints: [key.constraint, constraint('c', 'exclusion', 'EXCLUDE (at WITH =)')] }],
    [
      'an unproven check',
      {
        constraints: [
          key.constraint,
          constraint('c', 'check', 'CHECK (true) NOT VALID', { validated: false }),
          constraint('d', 'check', 'CHECK (true) NOT ENFORCED', { validated: false }),
        ],
      },
    ],
    ['a reference to itself', { constraints: [key.constraint, foreignKey('c', 'id', named('events'))] }],
    ['transition tables by row', { triggers: [trigger('t', { transitionTables: true })] }],
    [
      'a publication that lists it',
      { publications: [{ name: 'p', owner: 'o', covers: 'table', viaRoot: false, columns: null, filter: null }] },
    ],
  ])('a copy can have what partitions cannot: %s', (_, model) => {
    expect(codes(planOf(model))).toEqual([])
  })

  test.each([
    [{ lacking: ['INSERT'] }, 'owner-rights'],
    [{ defaultsTake: true }, 'default-privileges'],
    [{ actAsOwner: false }, 'not-owner'],
  ])('the role: %o → %s', (lacking, code) => {
    expect(codes(planRebuild(rebuildSituation({ privileges: privileges(lacking) }), rebuildRequest()))).toEqual([code])
  })

  test('a read-only server is the only objection then', () => {
    const plan = planRebuild(
      rebuildSituation({ server: server({ inRecovery: true }), table: table({ indexes: [] }) }),
      rebuildRequest(),
    )

    expect(codes(plan)).toEqual(['replica'])
  })
})

function keyed(overrides: Parameters<typeof primaryKey>[2]): Parameters<typeof table>[0] {
  const { constraint: made, index: behind } = primaryKey('events_pkey', ['id'], overrides)
  return { indexes: [behind], constraints: [made] }
}
