import { describe, expect, test } from 'vitest'
import { planPartition } from '../../src/plan/partition/partition.ts'
import {
  AWFUL,
  AWFUL_SQL,
  column,
  constraint,
  constraintTrigger,
  foreignKey,
  inbound,
  index,
  named,
  primaryKey,
  privileges,
  sequence,
  server,
  table,
  trigger,
  view,
} from '../support/models.ts'
import { acceptable, blocking, codes, keys, kinds, locksOf, sqlOf, step, stepOf } from './support/gist.ts'
import { FURNISHED, partitionRequest, partitionSituation, timeEvidence } from './support/situations.ts'

const byTime = primaryKey('events_pkey', ['id', 'at'])
/** Its primary key holds the key. */
const ready = { indexes: [byTime.index], constraints: [byTime.constraint] }

function planOf(overrides: Parameters<typeof table>[0] = {}, ...[request]: Parameters<typeof partitionRequest>) {
  return planPartition(partitionSituation({ table: table({ ...ready, ...overrides }) }), partitionRequest(request))
}

function planOfSuperuser(overrides: Parameters<typeof table>[0]) {
  const situation = { table: table({ ...ready, ...overrides }), server: server({ superuser: true }) }
  return planPartition(partitionSituation(situation), partitionRequest())
}

test.for([
  [180_000, 'k_1', 'k', 0],
  [180_000, 'x_fkey', 'x_fkey1', 0],
  [180_000, 'x_fkey', 'x_fkey_1', 1],
  [180_000, 'x_fkey', 'x_fkey_01', 0],
  [180_000, `${'k'.repeat(61)}_1`, `${'k'.repeat(61)}_2`, 1],
  [170_000, 'x_fkey', 'x_fkey1', 1],
  [170_000, 'x_fkey', 'x_fkey_1', 0],
] as const)('on %i, foreign keys of others named %s and %s: %i is in the way', ([version, one, other, count]) => {
  const inboundForeignKeys = [one, other].map((name) => inbound(named('details'), name))
  const situation = partitionSituation({ table: table({ ...ready, inboundForeignKeys }), server: server({ version }) })
  const { objections } = planPartition(situation, partitionRequest())
  expect(objections.filter(({ code }) => code.startsWith('inbound-names:'))).toHaveLength(count)
})

describe('the steps', () => {
  test('nothing is copied: a bound is validated online, and a swap makes the table a partition', () => {
    const plan = planOf()

    expect(keys(plan)).toEqual(['dry run', 'guard', 'validate-guard', 'swap', 'runway:events_2026_05', 'analyze'])
    expect(kinds(plan)).toEqual(['dry run', 'short lock', 'online', 'swap', 'short lock', 'online'])
    expect(plan.conversion?.history).toEqual(named('events_history'))
  })

  test('only the bound and the swap block other sessions', () => {
    expect(blocking(planOf())).toEqual({
      guard: ['public.events: ACCESS EXCLUSIVE, blocks reads and writes'],
      swap: ['public.events: ACCESS EXCLUSIVE, blocks reads and writes'],
    })
  })

  test('the bound applies to new rows first, and is validated online for existing ones', () => {
    const plan = planOf()

    expect(sqlOf(plan, 'guard')).toEqual([
      `alter table "public"."events" add constraint "events_ebb_bound" check ("at" < '2026-04-01 00:00:00+00'::timestamp with time zone) not valid`,
    ])
    expect(sqlOf(plan, 'validate-guard')).toEqual([
      'alter table "public"."events" validate constraint "events_ebb_bound"',
    ])
  })

  test('the history is attached last but one, and its bound dropped only then', () => {
    const { statements } = step(planOf(), 'swap')

    expect(statements[0]).toBe('alter table "public"."events" rename to "events_history"')
    expect(statements.slice(-2)).toEqual([
      `alter table "public"."events" attach partition "public"."events_history" for values from (minvalue) to ('2026-04-01 00:00:00+00')`,
      'alter table "public"."events_history" drop constraint "events_ebb_bound"',
    ])
  })

  test('the dry run ends with the attach, which must not scan rows', () => {
    expect(sqlOf(planOf(), 'dry run').at(-1)).toMatch(
      /^alter table pg_temp.ebb_parent attach partition pg_temp.ebb_twin/,
    )
  })

  test('a primary key without the partition key gets it: its index is built first, concurrently', () => {
    const plan = planPartition(partitionSituation({ table: table() }), partitionRequest())

    expect(keys(plan).slice(0, 3)).toEqual(['dry run', 'primary-key-index', 'guard'])
    expect(sqlOf(plan, 'primary-key-index')).toEqual([
      'create unique index concurrently "events_pkey_history" on "public"."events" ("id", "at")',
    ])
    expect(sqlOf(plan, 'swap')).toContain(
      'alter table "public"."events" add constraint "events_pkey" PRIMARY KEY (id, at)',
    )
    expect(plan.dependents).toContainEqual(
      expect.objectContaining({ name: 'primary key events_pkey', outcome: 'changed' }),
    )
    expect(plan.notes).toHaveLength(planOf().notes.length + 1)
  })

  test('a deferrable key stays deferrable, on the history too', () => {
    const key = primaryKey('events_pkey', ['id'], { deferrable: true, deferred: true })
    const plan = planOf({ indexes: [key.index], constraints: [key.constraint] })

    expect(sqlOf(plan, 'swap')).toContainEqual(
      expect.stringMatching(/primary key using index .* deferrable initially deferred$/),
    )
  })

  test('tables are locked in the order in which applications lock them', () => {
    const plan = planOf({
      views: [view(named('recent'))],
      inboundForeignKeys: [inbound(named('details'), 'of_event')],
      constraints: [byTime.constraint, foreignKey('of_user', 'user_id', named('users'))],
      sequences: [sequence('events_id_seq', 'id')],
    })

    expect(stepOf(plan, 'swap', 'swap').acquire).toEqual([
      'alter view "public"."recent" owner to "ebb_owner"',
      'lock table "public"."details" in access exclusive mode',
      'lock table "public"."events" in access exclusive mode',
      'alter sequence "public"."events_id_seq" owned by none',
      'lock table "public"."users" in access exclusive mode',
    ])
    expect(locksOf(plan, 'swap')).toEqual([
      ...['recent', 'events', 'details', 'users'].map(
        (one) => `public.${one}: ACCESS EXCLUSIVE, blocks reads and writes`,
      ),
      'public.events_id_seq: SHARE ROW EXCLUSIVE, blocks writes',
    ])
  })

  test('a foreign key to the table is created again in the swap, and validated after it', () => {
    const keyed = { ...ready, inboundForeignKeys: [inbound(named('details'), 'of_event')] }
    const plan = planOf(keyed)

    const statements = sqlOf(plan, 'swap')
    expect(statements[1]).toBe('alter table "public"."details" drop constraint if exists "of_event"')
    expect(statements.at(-1)).toBe(
      'alter table "public"."details" add constraint "of_event" FOREIGN KEY (event_id) REFERENCES public.events(id) NOT VALID',
    )
    expect(keys(plan).slice(-2)).toEqual(['validate:public.details.of_event', 'analyze'])
  })

  test('a disabled one stays disabled where a superuser converts, and is not validated', () => {
    const off = {
      ...ready,
      inboundForeignKeys: [inbound(named('details'), 'of_event')],
      constraintTriggers: [constraintTrigger('of_event', named('details'))],
    }
    const plan = planOfSuperuser(off)

    expect(sqlOf(plan, 'swap').at(-1)).toMatch(/^do .*'of_event'.*'disable'/s)
    expect(keys(plan)).not.toContain('validate:public.details.of_event')
    expect(codes(planOf(off))).toEqual(['disabled-foreign-keys'])
    const own = [constraintTrigger('of_event', named('details'), { function: 'RI_FKey_noaction_del' })]
    expect(codes(planOfSuperuser({ ...off, constraintTriggers: own }))).toEqual(['disabled-foreign-keys'])
  })

  test('one that was NOT VALID stays so', () => {
    const plan = planOf({ inboundForeignKeys: [inbound(named('details'), 'of_event', { validated: false })] })

    expect(keys(plan)).not.toContain('validate:public.details.of_event')
  })

  test('a new partition locks referenced tables against writes', () => {
    const plan = planOf({ constraints: [byTime.constraint, foreignKey('of_user', 'user_id', named('users'))] })

    expect(blocking(plan)['runway:events_2026_05']).toEqual(['public.users: SHARE ROW EXCLUSIVE, blocks writes'])
  })

  test('a disabled trigger is disabled on every partition', () => {
    const plan = planOf({ triggers: [trigger('audit', { enabled: 'disabled' })] })

    for (const name of ['events', 'events_history', 'events_2026_04'])
      expect(sqlOf(plan, 'swap')).toContain(`alter table "public"."${name}" disable trigger "audit"`)
    expect(sqlOf(plan, 'runway:events_2026_05').at(-1)).toBe(
      'alter table "public"."events_2026_05" disable trigger "audit"',
    )
  })

  test('--premake counts partitions after the history', () => {
    expect(keys(planOf({}, { premake: 4 })).filter((key) => key.startsWith('runway:'))).toEqual([
      'runway:events_2026_05',
      'runway:events_2026_06',
      'runway:events_2026_07',
    ])
  })

  test('rows dated ahead move the bound', () => {
    const evidence = timeEvidence('2026-01-01 00:00:00+00', '2026-04-20 00:00:00+00')
    const plan = planPartition(partitionSituation({ evidence }), partitionRequest())

    expect(sqlOf(plan, 'guard')[0]).toContain(`'2026-05-01 00:00:00+00'`)
  })
})

describe('names', () => {
  test('are quoted', () => {
    const key = primaryKey('Key "of".it', ['I.d', 'A"t'])
    const plan = planPartition(
      partitionSituation({
        table: table({
          name: AWFUL,
          columns: [column('I.d', 'bigint'), column('A"t')],
          indexes: [key.index],
          constraints: [key.constraint],
        }),
        evidence: { ...timeEvidence(), key: { ...timeEvidence().key, column: 'A"t' } },
      }),
      partitionRequest({ by: 'A"t' }),
    )

    expect(sqlOf(plan, 'guard')[0]).toMatch(
      `alter table ${AWFUL_SQL} add constraint "Big ""Ta.ble_ebb_bound" check ("A""t" <`,
    )
    expect(sqlOf(plan, 'swap').slice(0, 2)).toEqual([
      `alter table ${AWFUL_SQL} rename to "Big ""Ta.ble_history"`,
      'alter index "My.sch""ema"."Key ""of"".it" rename to "Key ""of"".it_history"',
    ])
    expect(sqlOf(plan, 'swap')[2]).toContain('partition by range ("A""t")')
  })

  test('of 63 bytes leave room for the suffix of a partition', () => {
    const plan = planOf({ name: named('Ü'.repeat(31) + 'x') })
    const names = keys(plan).filter((key) => key.startsWith('runway:'))

    expect(plan.conversion?.history.name).toBe('Ü'.repeat(27) + '_history')
    expect(names).toEqual([`runway:${'Ü'.repeat(27)}_2026_05`])
  })

  test('are replaced if taken', () => {
    const plan = planPartition(partitionSituation({ taken: new Set(['events_history']) }), partitionRequest())

    expect(plan.conversion?.history.name).toBe('events_history_2')
  })
})

describe('by id', () => {
  const key = { ...timeEvidence().key, column: 'id', type: 'bigint', min: '1', max: '1000000' }
  const situation = partitionSituation({
    table: table(),
    evidence: { ...timeEvidence(), key, handedOut: 1_000_500n },
  })
  const request = partitionRequest({ by: 'id', every: { kind: 'ids', ids: 100_000n }, expireBy: 'at' })

  test('the bound lies a partition ahead of the sequence', () => {
    const plan = planPartition(situation, request)

    expect(sqlOf(plan, 'guard')[0]).toMatch(/check \("id" < '1200000'::bigint\) not valid$/)
    expect(plan.conversion?.policy).toMatchObject({ kind: 'id', column: 'id', expireBy: 'at', premake: 2 })
  })

  test.each([
    ['no age', { ...request, expireBy: null, keep: { count: 1, unit: 'year' } as const }, 'expire-by'],
    ['an age that is no time', { ...request, expireBy: 'kind' }, 'expire-by-type'],
    ['an age that is not there', { ...request, expireBy: 'seen' }, 'no-column'],
    [
      'more ids than the type has',
      { ...request, every: { kind: 'ids', ids: 5n * 10n ** 18n } as const },
      'ids-run-out',
    ],
  ])('%s', (_, asked, code) => {
    expect(codes(planPartition(situation, asked))).toEqual([code])
  })
})

describe('objections', () => {
  const objected: [string, Parameters<typeof table>[0], string][] = [
    ['already partitioned', { kind: 'partitioned table' }, 'partitioned'],
    ['a view', { kind: 'view' }, 'view'],
    ['a foreign table', { kind: 'foreign table' }, 'foreign-table'],
    ['a sequence', { kind: 'sequence' }, 'not-a-table'],
    ['a temporary table', { persistence: 'temporary' }, 'temporary'],
    ['a partition', { partitionOf: 'public.all_events' }, 'partition-of'],
    ["PostgreSQL's own", { name: { schema: 'pg_catalog', name: 'pg_class' } }, 'system-table'],
    ['unlogged', { persistence: 'unlogged' }, 'unlogged'],
    ['a child', { inheritsFrom: ['public.base'] }, 'inherits'],
    ['a parent', { inheritedBy: ['public.child'] }, 'inherited'],
    ['typed', { typed: true }, 'typed'],
    ["an extension's", { extension: 'postgis' }, 'extension'],
    ['labelled', { securityLabels: 1 }, 'security-label'],
    ['not heap', { accessMethod: 'columnar' }, 'access-method'],
    ['a broken index', { indexes: [byTime.index, index('half', ['kind'], { valid: false })] }, 'invalid-index:half'],
    [
      'an unproven check',
      { constraints: [byTime.constraint, constraint('c', 'check', 'CHECK (true) NOT VALID', { validated: false })] },
      'not-valid:c',
    ],
    [
      'a check that is not enforced',
      {
        constraints: [byTime.constraint, constraint('c', 'check', 'CHECK (true) NOT ENFORCED', { validated: false })],
      },
      'not-enforced:c',
    ],
    [
      'a check that is not inherited',
      { constraints: [byTime.constraint, constraint('c', 'check', 'CHECK (true) NO INHERIT', { noInherit: true })] },
      'no-inherit:c',
    ],
    [
      'an exclusion',
      { constraints: [byTime.constraint, constraint('c', 'exclusion', 'EXCLUDE (at WITH =)')] },
      'exclusion:c',
    ],
    [
      'a reference to itself',
      { constraints: [byTime.constraint, foreignKey('c', 'id', named('events'))] },
      'self-reference:c',
    ],
    ['transition tables by row', { triggers: [trigger('t', { transitionTables: true })] }, 'transition-tables:t'],
    [
      'constraints switched off',
      { constraintTriggers: [constraintTrigger('c', named('events'))] },
      'disabled-foreign-keys',
    ],
    [
      'an identity without sequence',
      { columns: [column('id', 'bigint', { identity: 'always' }), column('at')] },
      'identity:id',
    ],
    [
      'a materialized view',
      {
        otherDependents: [
          { description: 'materialized view m', materializedView: named('m'), because: 'mentions the table' },
        ],
      },
      'materialized-view:public.m',
    ],
    [
      'a function of its type',
      {
        otherDependents: [{ description: 'function f(events)', materializedView: null, because: 'uses its row type' }],
      },
      'dependent:function f(events)',
    ],
    ['a check over whole rows', { wholeRows: ['check c'] }, 'whole-row:check c'],
    ['a default of its own name', { ownNames: ['default of column d'] }, 'own-name:default of column d'],
    ['a borrowed sequence', { identityUsers: ['default of b'] }, 'identity-used:default of b'],
    ['a view of whole rows', { views: [view(named('v'), { usesRowType: true })] }, 'row-type-view:public.v'],
    [
      'a partitioned table that refers to it',
      { inboundForeignKeys: [inbound(named('d'), 'f', { tableKind: 'partitioned table' })] },
      'inbound-partitioned:public.d.f',
    ],
    [
      'published by its own name',
      { publications: [{ name: 'p', owner: 'o', covers: 'table', viaRoot: false, columns: null, filter: null }] },
      'publication:p',
    ],
    ['excepted from a publication', { exceptedFrom: ['p'] }, 'excepted:p'],
    ['subscribed', { subscriptions: ['s'] }, 'subscribed'],
    ['on its way back', { triggers: [trigger('ebb_0a1b2c3d_back_capture')] }, 'captured'],
    ['without the key', { columns: [column('id', 'bigint')] }, 'no-column'],
    ['a generated key', { columns: [column('at', undefined, { generated: true })] }, 'key-generated'],
    ['a key that may be null', { columns: [column('at', undefined, { notNull: false })] }, 'key-nullable'],
    [
      'unique without the key',
      { indexes: [byTime.index, index('one_kind', ['kind'], { unique: true })] },
      'unique:one_kind',
    ],
  ]

  test.each(objected)('%s', (_, model, code) => {
    const plan = planOf(model)

    expect(codes(plan)).toEqual([code])
    expect(acceptable(plan)).toEqual([])
    expect(plan.steps).toEqual([])
    expect(plan.conversion).toBeNull()
  })

  test.each([
    [server({ version: 130010 }), 'server-version'],
    [server({ inRecovery: true }), 'replica'],
    [server({ readOnly: true }), 'read-only'],
    [server({ firesTriggers: false }), 'replication-role'],
    [server({ journalExists: false, mayCreateSchema: false }), 'journal-schema'],
    [server({ journalUsable: false }), 'journal-rights'],
  ])('the server: %o → %s', (one, code) => {
    expect(codes(planPartition(partitionSituation({ server: one }), partitionRequest()))).toEqual([code])
  })

  test.each([
    [{ actAsOwner: false }, 'not-owner'],
    [{ createInSchema: false }, 'no-create'],
    [{ createTemporary: false }, 'no-temporary'],
    [{ rowsHidden: true }, 'row-security'],
    [{ notOurs: ['view public.v'] }, 'not-ours:view public.v'],
    [{ noSpaces: ['fast'] }, 'no-tablespace:fast'],
    [{ notReferable: ['"public"."users"'] }, 'no-references:"public"."users"'],
  ])('the role: %o → %s', (lacking, code) => {
    const situation = partitionSituation({ privileges: privileges(lacking) })

    expect(codes(planPartition(situation, partitionRequest()))).toEqual([code])
  })

  test.each([
    ['a type that is no key', { type: 'text' }, 'key-type'],
    ['infinity', { max: 'infinity' }, 'key-infinity'],
    ['beyond the calendar', { max: '99999-01-01 00:00:00+00' }, 'key-off-calendar'],
    ['random UUIDs', { type: 'uuid', max: '0b8a7e4c-7c1c-4c8e-9d5e-000000000000' }, 'key-not-uuidv7'],
    ['integers that are no times', { type: 'bigint', min: '1', max: '12' }, 'key-not-epoch'],
    ['rows far ahead', { max: '2027-01-01 00:00:00+00' }, 'key-in-future'],
  ])('%s', (_, key, code) => {
    const evidence = { ...timeEvidence(), key: { ...timeEvidence().key, ...key } }

    expect(codes(planPartition(partitionSituation({ evidence }), partitionRequest()))).toEqual([code])
  })

  test('a foreign key to a primary key that must change', () => {
    const keyed = table({ inboundForeignKeys: [inbound(named('details'), 'of_event')] })

    expect(codes(planPartition(partitionSituation({ table: keyed }), partitionRequest()))).toEqual([
      'inbound:public.details.of_event',
    ])
  })

  test('ON CONFLICT naming a primary key that must change can be accepted', () => {
    const situation = partitionSituation({ table: table(), upserts: ['insert into events … on conflict (id)'] })
    const refused = planPartition(situation, partitionRequest())

    expect(codes(refused)).toEqual(['upsert'])
    expect(acceptable(refused)).toEqual(['upsert'])
    expect(refused.steps).toEqual([])
    expect(keys(planPartition(situation, partitionRequest({ accept: ['upsert'] })))).toContain('swap')
  })

  test('accepting an unacceptable code has no effect', () => {
    expect(
      codes(planOf({ indexes: [index('one_kind', ['kind'], { unique: true })] }, { accept: ['unique:one_kind'] })),
    ).toEqual(['unique:one_kind'])
  })

  test('all of them at once', () => {
    expect(codes(planOf({ typed: true, subscriptions: ['s'] }))).toEqual(['typed', 'subscribed'])
  })
})

test('all dependent objects are described', () => {
  const { dependents } = planPartition(partitionSituation({ table: FURNISHED }), partitionRequest())
  const outcomes = Object.fromEntries(dependents.map(({ name, outcome }) => [name, outcome]))

  expect(outcomes).toMatchObject({
    'constraint events_pkey': 'carried',
    'index events_user': 'carried',
    'view public.recent': 'rebuilt',
    'trigger audit': 'carried',
    'statistics public.events_stat': 'carried',
  })
})
