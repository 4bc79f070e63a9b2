import { describe, expect, test } from 'vitest'
import type { OwnPart } from '../../src/catalog/partitions/own-parts.ts'
import type { Partition } from '../../src/catalog/partitions/partitioned-table.ts'
import { planRotation } from '../../src/plan/rotate/rotate.ts'
import { partitions, request, setOf, situation } from './rotate-support.ts'

const check: OwnPart = {
  kind: 'check',
  name: 'positive',
  definition: 'CHECK ((b > 0))',
  validated: true,
  tablespace: null,
  references: null,
}
const key = (name: string): OwnPart => ({
  kind: 'primary key',
  name,
  definition: 'PRIMARY KEY (id)',
  validated: true,
  tablespace: null,
  references: null,
})
const grant: OwnPart = {
  kind: 'grant',
  name: 'SELECT',
  grant: { column: null, privilege: 'SELECT', grantee: 'reader', grantor: 'ebb_owner', grantable: false },
}

describe('properties of individual partitions', () => {
  test('are copied to new ones if all have them', () => {
    const plan = rotated({ own: [check, key('a')] }, { own: [key('b'), check] })
    expect(plan.objections).toEqual([])
    expect(plan.create[0]?.step.statements.slice(1, 3)).toEqual([
      'alter table "public"."events_2026_08" add constraint "positive" CHECK ((b > 0))',
      'alter table "public"."events_2026_08" add PRIMARY KEY (id)',
    ])
  })

  test('are an objection if they differ, and omitted once accepted', () => {
    const differing = [{ own: [check, key('a')] }, { own: [key('b')] }] as const
    expect(codes(rotated(...differing))).toEqual(['siblings:check'])
    expect(rotated(...differing).create).toEqual([])

    const accepted = rotated(...differing, ['siblings:check'])
    expect(accepted.objections).toEqual([])
    expect(accepted.create[0]?.step.statements).toContain('alter table "public"."events_2026_08" add PRIMARY KEY (id)')
    expect(accepted.create[0]?.step.statements.join()).not.toContain('positive')
  })

  test('need more than one partition', () => {
    const [only] = partitions('2026-06-01', '2026-07-01')
    const plan = planRotation(situation(setOf([{ ...only!, own: [check] }]), '2026-06-15'), request())
    expect(codes(plan)).toEqual(['siblings:check'])
  })

  test('an identity belongs to all', () => {
    expect(codes(rotated({ identity: 'full' }, {}))).toEqual(['siblings:replica-identity'])
    const index = { identity: { indexTail: 'USING btree (id, at)', tablespace: null } } as const
    expect(rotated(index, index).create[0]?.step.statements.slice(1, 3)).toEqual([
      'create unique index "events_2026_08_identity" on "public"."events_2026_08" USING btree (id, at)',
      'alter table "public"."events_2026_08" replica identity using index "events_2026_08_identity"',
    ])
  })

  test('a publication of another role, and a trigger that cannot be created again', () => {
    const publication: OwnPart = { kind: 'publication', name: 'p', mayAlter: false }
    const trigger: OwnPart = { kind: 'trigger', name: 't', before: '', after: null, enabled: 'origin' }
    const own = [publication, trigger]
    expect(codes(rotated({ own }, { own }))).toEqual(['siblings:publication', 'siblings:trigger'])
  })

  test('a history partition has the privileges the table had', () => {
    const [history, next] = partitions(null, '2026-06-01', '2026-07-01')
    const plan = planRotation(situation(setOf([{ ...history!, own: [grant] }, next!]), '2026-06-15'), request())
    expect(plan.objections).toEqual([])
  })
})

function codes({ objections }: ReturnType<typeof planRotation>): string[] {
  return objections.map(({ code }) => code)
}

/** A rotation of two partitions, changed so. */
function rotated(first: Partial<Partition>, second: Partial<Partition>, accept: readonly string[] = []) {
  const [a, b] = partitions('2026-06-01', '2026-07-01', '2026-08-01')
  const set = setOf([
    { ...a!, ...first },
    { ...b!, ...second },
  ])
  return planRotation(situation(set, '2026-07-15'), request({ accept }))
}
