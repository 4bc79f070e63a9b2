import { describe, expect, test } from 'vitest'
import type { Publication } from '../../src/catalog/table/table-model.ts'
import { planRebuildRollback } from '../../src/plan/copy/rollback.ts'
import { planRebuild } from '../../src/plan/copy/rebuild.ts'
import { planPartition } from '../../src/plan/partition/partition.ts'
import { planRollback } from '../../src/plan/partition/rollback.ts'
import type { DependentKind } from '../../src/plan/table/dependents.ts'
import { factsOf } from '../../src/plan/table/facts.ts'
import type { Plan } from '../../src/plan/language/step.ts'
import { foreignKey, index, named, primaryKey, table, trigger, server, constraintTrigger } from '../support/models.ts'
import { exclusive } from '../../src/plan/language/locks.ts'
import { sqlOf, stepOf } from './support/gist.ts'
import {
  FURNISHED,
  partitionRequest,
  partitionSituation,
  rebuildRequest,
  rebuildSituation,
  rebuilt,
} from './support/situations.ts'

// A table with one of everything that can hang on it, in each exchange of names.

const publication: Publication = {
  name: 'feed',
  owner: 'ebb_owner',
  covers: 'table',
  viaRoot: true,
  columns: null,
  filter: null,
}
const elsewhere = { of: named('orders'), ofKind: 'table', owner: 'ebb_owner' } as const
const WHOLE = table({
  ...FURNISHED,
  options: ['fillfactor=80'],
  grants: [{ column: null, privilege: 'SELECT', grantee: 'reader', grantor: 'ebb_owner', grantable: false }],
  rowSecurity: 'on',
  replicaIdentity: 'index',
  indexes: [
    { ...primaryKey('events_pkey', ['id', 'at']).index, replicaIdentity: true },
    index('events_user', ['user_id']),
  ],
  constraints: [primaryKey('events_pkey', ['id', 'at']).constraint, foreignKey('of_user', 'user_id', named('users'))],
  triggers: [trigger('audit', { enabled: 'always' })],
  policies: [
    { name: 'own', permissive: true, command: 'select', roles: [null], using: 'true', check: null, comment: null },
  ],
  rules: [
    {
      name: 'keep',
      definition: 'CREATE RULE keep AS ON DELETE TO public.events DO INSTEAD NOTHING;',
      enabled: 'origin',
      comment: null,
    },
  ],
  constraintTriggers: [constraintTrigger('of_event', named('details'))],
  publications: [publication],
  otherRules: [
    {
      ...elsewhere,
      name: 'noted',
      definition: 'CREATE RULE noted AS ON INSERT TO public.orders DO INSERT INTO public.events DEFAULT VALUES;',
      enabled: 'origin',
      comment: null,
    },
    {
      ...elsewhere,
      of: named('inbox'),
      ofKind: 'view',
      name: 'taken',
      definition: 'CREATE RULE taken AS ON INSERT TO public.inbox DO INSTEAD INSERT INTO public.events DEFAULT VALUES;',
      enabled: 'origin',
      comment: null,
    },
  ],
  otherPolicies: [
    {
      ...elsewhere,
      name: 'seen',
      permissive: true,
      command: 'select',
      roles: [null],
      using: 'true',
      check: null,
      comment: null,
    },
  ],
  otherTriggers: [
    {
      ...elsewhere,
      ...trigger('watched', {
        definition:
          'CREATE CONSTRAINT TRIGGER watched AFTER INSERT ON public.orders FROM public.events FOR EACH ROW EXECUTE FUNCTION f()',
        enabled: 'always',
      }),
    },
  ],
  functions: [
    { signature: 'counted()', owner: 'ebb_owner', definition: 'CREATE OR REPLACE FUNCTION public.counted()' },
  ],
})

const superuser = server({ superuser: true })

function conversion() {
  const situation = partitionSituation({ table: WHOLE, server: superuser })
  const plan = planPartition(situation, partitionRequest())
  if (plan.conversion === null) throw new Error(plan.objections.map(({ code }) => code).join())
  return { plan, conversion: plan.conversion }
}

const back = { runId: '7', current: WHOLE, removed: [], taken: new Set<string>(), server: superuser }
const converted = {
  ...back,
  conversion: conversion().conversion,
  converted: factsOf(WHOLE),
  historyAttached: true,
  others: [],
}
const rebuild = rebuilt({ table: WHOLE, server: superuser })
const copied = { ...back, rebuild, retired: rebuild.retired, gaps: [], partitions: [] }

const SWAPS: Record<string, { readonly plan: Plan; readonly way: 'there' | 'back' }> = {
  partition: { plan: conversion().plan, way: 'there' },
  rebuild: { plan: planRebuild(rebuildSituation({ table: WHOLE, server: superuser }), rebuildRequest()), way: 'there' },
  'back from partitions': { plan: planRollback(converted), way: 'back' },
  'back from a rebuild': { plan: planRebuildRollback(copied), way: 'back' },
}

/** What the swap does with each kind; null where that comes with the table and stays with it. */
const SEEN: Record<DependentKind, { readonly there: RegExp | null; readonly back: RegExp | null }> = {
  columns: { there: null, back: null },
  owner: { there: null, back: null },
  persistence: { there: null, back: null },
  options: { there: null, back: null },
  grants: { there: /^grant select on table "public"."events" to "reader"/, back: null },
  sequences: {
    there: /^alter sequence .* owned by "public"."events"."id"/,
    back: /^alter sequence .* owned by "public"/,
  },
  indexes: { there: /^alter index "public"."events_user" rename/, back: /^alter index .* rename to "events_user"/ },
  constraints: { there: /add constraint "of_user"/, back: null },
  triggers: { there: /"public"."events" enable always trigger "audit"/, back: /^CREATE TRIGGER audit/ },
  rowSecurity: { there: /"public"."events" enable row level security/, back: null },
  policies: { there: /^create policy "own" on "public"."events"/, back: null },
  rules: { there: /^CREATE RULE keep/, back: null },
  statistics: { there: /^CREATE STATISTICS/, back: /^alter statistics .* rename to "events_stat"/ },
  replicaIdentity: { there: /"public"."events" replica identity using index "events_pkey"/, back: null },
  comment: { there: /^comment on table "public"."events"/, back: null },
  publications: {
    there: /^alter publication "feed" add table "public"."events"/,
    back: /^alter publication "feed" add/,
  },
  views: { there: /^create or replace view "public"."recent"/, back: /^create or replace view "public"."recent"/ },
  functions: { there: /^CREATE OR REPLACE FUNCTION/, back: /^CREATE OR REPLACE FUNCTION/ },
  inboundForeignKeys: { there: /"details" add constraint "of_event"/, back: /"details" add constraint "of_event"/ },
  constraintTriggers: { there: /^do .*'of_event'.*'disable'/s, back: /^do .*'of_event'.*'disable'/s },
  exceptedFrom: { there: null, back: null },
  otherRules: {
    there: /^CREATE OR REPLACE RULE noted AS ON INSERT TO public.orders/,
    back: /^CREATE OR REPLACE RULE noted/,
  },
  otherPolicies: {
    there: /^alter policy "seen" on "public"."orders" using \(true\)$/,
    back: /^alter policy "seen" on "public"."orders" using/,
  },
  otherTriggers: {
    there: /^CREATE CONSTRAINT TRIGGER watched AFTER INSERT ON public.orders/,
    back: /^CREATE CONSTRAINT TRIGGER watched/,
  },
  otherDependents: { there: null, back: null },
}

describe.each(Object.entries(SWAPS))('%s', (_, { plan, way }) => {
  const statements = sqlOf(plan, way === 'there' ? 'swap' : 'swap-back')

  test.each(Object.entries(SEEN))('covers %s', (_kind, seen) => {
    const expected = seen[way]
    if (expected !== null) expect(statements.filter((one) => expected.test(one))).toHaveLength(1)
  })

  test('locks what mentions the table before the table, as its statements do', () => {
    const { acquire, locks } = stepOf(plan, 'swap', way === 'there' ? 'swap' : 'swap-back')
    expect(acquire.filter((one) => /^(alter view|lock)/.test(one))).toEqual([
      'alter view "public"."recent" owner to "ebb_owner"',
      'alter view "public"."inbox" owner to "ebb_owner"',
      'lock table "public"."details" in access exclusive mode',
      'lock table only "public"."orders" in access exclusive mode',
      'lock table "public"."events" in access exclusive mode',
      'lock table "public"."users" in access exclusive mode',
    ])
    for (const name of ['inbox', 'orders']) expect(locks).toContainEqual(exclusive(named(name)))
  })

  test('leaves no duplicates', () => {
    for (const gone of [
      /^drop trigger "audit" on "public"."events_/,
      /^alter publication "feed" drop table "public"."events_/,
      /"details" drop constraint/,
      /^drop trigger "watched" on "public"."orders"$/,
      /^alter index "public"."events_user" rename to "events_user_/,
      /^alter statistics "public"."events_stat" rename to "events_stat_/,
    ])
      expect(statements).toContainEqual(expect.stringMatching(gone))
  })
})

test('a table whose rows were copied references nothing; in partitions its foreign keys stay', () => {
  const dropped = Object.entries(SWAPS).map(([name, { plan, way }]) => [
    name,
    sqlOf(plan, way === 'there' ? 'swap' : 'swap-back').some((one) => /drop constraint if exists "of_user"/.test(one)),
  ])
  expect(dropped).toEqual([
    ['partition', false],
    ['rebuild', true],
    ['back from partitions', false],
    ['back from a rebuild', true],
  ])
})
