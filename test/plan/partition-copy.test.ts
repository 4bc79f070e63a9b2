import { describe, expect, test } from 'vitest'
import { planPartitionByCopy } from '../../src/plan/partition/partition-copy.ts'
import { foreignKey, named, primaryKey, privileges, table } from '../support/models.ts'
import { blocking, codes, keys, sqlOf, stepOf } from './support/gist.ts'
import { copyRequest, copySituation, FURNISHED, timeEvidence } from './support/situations.ts'

const byTime = primaryKey('events_pkey', ['id', 'at'])
const keep = { count: 45, unit: 'day' } as const

describe('the steps', () => {
  test('are those of a copy, into a partitioned table', () => {
    const plan = planPartitionByCopy(copySituation(), copyRequest())
    const shadow = sqlOf(plan, 'shadow')

    expect(keys(plan)).toEqual([
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
    expect(shadow[0]).toMatch(/^create table "public"\."events_ebb" \(like .*\) partition by range \("at"\)$/)
    expect(plan.rebuild?.policy).toMatchObject({ column: 'at', kind: 'timestamptz', premake: 2 })
  })

  test('all rows: from the month of the oldest to premake months after the newest', () => {
    const plan = planPartitionByCopy(copySituation(), copyRequest())

    expect(attached(sqlOf(plan, 'shadow'))).toEqual([
      'events_2026_01 minvalue',
      "events_2026_02 '2026-02-01 00:00:00+00'",
      "events_2026_03 '2026-03-01 00:00:00+00'",
      "events_2026_04 '2026-04-01 00:00:00+00'",
      "events_2026_05 '2026-05-01 00:00:00+00'",
    ])
    expect(plan.rebuild?.forward.keep).toBeNull()
  })

  test('with --keep only the window is copied, and late rows still have a partition', () => {
    const plan = planPartitionByCopy(copySituation(), copyRequest({ keep }))

    expect(plan.rebuild?.forward.keep).toBe(
      `"at" operator(pg_catalog.>=) '2026-01-29 00:00:00+00'::timestamp with time zone`,
    )
    expect(attached(sqlOf(plan, 'shadow'))[0]).toBe('events_2026_01 minvalue')
    expect(plan.rebuild?.back.keep).toBeNull()
  })

  test('a primary key without the partition key gets it', () => {
    const plan = planPartitionByCopy(copySituation({ table: table() }), copyRequest())

    expect(sqlOf(plan, 'index:events_pkey')).toEqual([
      'alter table "public"."events_ebb" add constraint "events_pkey_ebb" PRIMARY KEY (id, at)',
    ])
    expect(stepOf(plan, 'swap', 'swap').after['constraint events_pkey']).toContain('PRIMARY KEY (id, at)')
  })

  test('each partition gets a foreign key first; the parent adopts them without a check', () => {
    const keyed = {
      indexes: [byTime.index],
      constraints: [byTime.constraint, foreignKey('of_user', 'user_id', named('users'))],
    }
    const plan = planPartitionByCopy(copySituation({ table: table(keyed) }), copyRequest())

    expect(keys(plan).slice(-4)).toEqual(['swap', 'validate:of_user', 'adopt-foreign-key:of_user', 'release'])
    expect(sqlOf(plan, 'swap').filter((one) => one.endsWith('NOT VALID'))).toHaveLength(5)
    expect(sqlOf(plan, 'validate:of_user')).toHaveLength(5)
    expect(sqlOf(plan, 'adopt-foreign-key:of_user')).toEqual([
      'alter table "public"."events" add constraint "of_user" FOREIGN KEY (user_id) REFERENCES public.users(id)',
    ])
    expect(blocking(plan)['adopt-foreign-key:of_user']).toEqual([
      'public.users: ACCESS EXCLUSIVE, blocks reads and writes',
    ])
  })

  test('dependent objects are carried over', () => {
    const plan = planPartitionByCopy(copySituation({ table: FURNISHED }), copyRequest())

    expect(plan.dependents.filter(({ outcome }) => outcome === 'changed')).toEqual([])
    expect(plan.dependents).toContainEqual(expect.objectContaining({ name: 'view public.recent', outcome: 'rebuilt' }))
    expect(keys(plan)).toContain('check:sane')
  })
})

describe('objections', () => {
  test.each<[string, Partial<Parameters<typeof copySituation>[0]>, Parameters<typeof copyRequest>[0], string]>([
    ['no key to find rows by', { table: table({ indexes: [], constraints: [] }) }, {}, 'no-key'],
    [
      'rights that an owner has taken from itself',
      { privileges: privileges({ lacking: ['SELECT'] }) },
      {},
      'owner-rights',
    ],
    ['rows left out for good', {}, { keep, noArchive: false }, 'archive'],
    [
      'too many partitions',
      { evidence: timeEvidence('1900-01-01 00:00:00+00') },
      { every: { kind: 'interval', interval: { count: 1, unit: 'day' } } },
      'too-many-partitions',
    ],
    ['no column', {}, { by: 'seen' }, 'no-column'],
    ['a view', { table: table({ kind: 'view' }) }, {}, 'view'],
    [
      'excepted from a publication, said once',
      { table: table({ ...FURNISHED, exceptedFrom: ['p'] }) },
      {},
      'excepted:p',
    ],
  ])('%s', (_, situation, request, code) => {
    const plan = planPartitionByCopy(copySituation(situation), copyRequest(request))

    expect(codes(plan)).toEqual([code])
    expect(plan.steps).toEqual([])
    expect(plan.rebuild).toBeNull()
  })
})

/** Which partitions are attached, and where they begin. */
function attached(statements: readonly string[]): string[] {
  return statements.flatMap((statement) => {
    const found = /attach partition "public"\."(\w+)" for values from \((.*)\) to/.exec(statement)
    return found === null ? [] : [`${found[1] ?? ''} ${found[2] ?? ''}`]
  })
}
