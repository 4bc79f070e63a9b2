import { describe, expect, test } from 'vitest'
import type { ColumnarFacts } from '../../src/catalog/partitions/columnar-facts.ts'
import type { PartitionedTable } from '../../src/catalog/partitions/partitioned-table.ts'
import type { CitusTable } from '../../src/catalog/citus.ts'
import { planRotation } from '../../src/plan/rotate/rotate.ts'
import { partition, partitions, request, setOf, situation } from './rotate-support.ts'

// What is planned where expired partitions are rewritten in columns; on a real Citus: test/citus/columnar.test.ts.

const CITUS: CitusTable = {
  kind: 'distributed',
  distributionColumn: 'tenant_id',
  colocationId: 1,
  shards: 8,
  nodes: ['127.0.0.1:9701', '127.0.0.1:9702'],
  columnar: false,
  of: null,
  onCoordinator: true,
}
const KEY = {
  name: 'events_pkey',
  method: 'btree',
  constraint: 'PRIMARY KEY (id, at)',
  unique: true,
  tail: 'USING btree (id, at)',
}
const FACTS: ColumnarFacts = { isThere: true, indexes: [KEY], afterTriggers: [] }
const [OLD, NEW] = partitions('2026-01-01', '2026-02-01', '2026-07-01')

function planned(changes: Partial<PartitionedTable> = {}, facts = FACTS, accept: string[] = []) {
  const set = setOf([OLD!, NEW!], { citus: CITUS, ...changes })
  return planRotation(
    situation(set, '2026-06-15', { columnarFacts: facts, taken: new Set(['p_2026-01-01_columnar']) }),
    request({ retire: 'columnar', noArchive: false, accept }),
  )
}

const codes = (...given: Parameters<typeof planned>) => planned(...given).objections.map(({ code }) => code)

describe('an expired partition that is to be columnar', () => {
  test('is copied as Citus stores it, and replaced by its copy in one transaction', () => {
    const { objections, retire, notes } = planned()
    expect(objections).toEqual([])
    expect(notes.join()).toContain('neither updated nor deleted')
    const [copy, exchange, drop] = retire[0]?.steps ?? []
    expect(copy?.statements).toEqual([
      'create table "public"."p_2026-01-01_columnar_2" (like "public"."p_2026-01-01" including defaults including generated including constraints including comments) using columnar',
      'alter table "public"."p_2026-01-01_columnar_2" drop constraint if exists ebb_bounds',
      `alter table "public"."p_2026-01-01_columnar_2" add constraint ebb_bounds check ("at" is not null and "at" >= '2026-01-01 00:00:00+00'::timestamp with time zone and "at" < '2026-02-01 00:00:00+00'::timestamp with time zone)`,
      `select create_distributed_table('"public"."p_2026-01-01_columnar_2"', 'tenant_id', colocate_with => '"public"."p_2026-01-01"')`,
      'insert into "public"."p_2026-01-01_columnar_2" ("id", "at") select "id", "at" from only "public"."p_2026-01-01"',
      'alter table "public"."p_2026-01-01_columnar_2" add PRIMARY KEY (id, at)',
    ])
    expect(exchange).toMatchObject({
      onAllNodes: true,
      workTimeoutMs: 10_000,
      acquire: [
        'lock table only "public"."events" in share row exclusive mode',
        'lock table only "public"."p_2026-01-01" in share row exclusive mode',
      ],
      statements: [
        'set local statement_timeout = 1000',
        'lock table only "public"."events" in access exclusive mode',
        'alter table "public"."events" detach partition "public"."p_2026-01-01"',
        'alter table "public"."p_2026-01-01" rename to "p_2026-01-01_rows"',
        'alter table "public"."p_2026-01-01_columnar_2" rename to "p_2026-01-01"',
        `alter table "public"."events" attach partition "public"."p_2026-01-01" FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2026-02-01 00:00:00+00')`,
        'alter table "public"."p_2026-01-01" drop constraint if exists ebb_bounds',
      ],
    })
    expect(drop?.statements).toEqual(['drop table "public"."p_2026-01-01_rows"'])
  })

  test('is not archived, moved or kept for a while later, which would have to notice writes; it can be dropped', () => {
    const set = setOf([{ ...OLD!, columnar: true }, NEW!], { citus: CITUS })
    const retired = (asked: Parameters<typeof request>[0]) => {
      const plan = planRotation(situation(set, '2026-06-15'), request(asked))
      return [plan.retire.length, plan.skipped.map(({ reason }) => reason.slice(0, 14))]
    }
    const archive = { uri: 'file:///archive' } as never
    expect(retired({ archive, noArchive: false })).toEqual([0, ['it is columnar', 'only part of i']])
    expect(retired({ noArchive: true })).toEqual([1, ['only part of i']])
  })

  test('is one already: nothing to do', () => {
    expect(planned({ partitions: [{ ...OLD!, columnar: true }, NEW!] }).retire).toEqual([])
  })

  test('is distributed whole where the set is, and local where it is', () => {
    const distributing = (citus: Partial<CitusTable>) =>
      planned({ citus: { ...CITUS, ...citus } }).retire[0]?.steps[0]?.statements.filter((text) =>
        text.startsWith('select '),
      )
    expect(distributing({ distributionColumn: null })?.[0]).toContain(`columnar_2"', null, colocate_with`)
    expect(distributing({ kind: 'managed local' })?.[0]).toContain('citus_add_local_table_to_metadata')
  })

  test('is refused where there is no such access method, and what it could not have', () => {
    expect(codes({}, { ...FACTS, isThere: false })).toEqual(['columnar-missing'])
    const name = { schema: 'public', name: 'tenants' }
    expect(codes({ references: [name] })).toEqual(['columnar-references'])
    expect(codes({ inboundForeignKeys: [{ name: 'fkey', table: name }] })).toEqual(['columnar-references'])
    expect(codes({}, { ...FACTS, indexes: [{ ...KEY, constraint: null, method: 'gin' }] })).toEqual(['columnar-index'])
    expect(codes({}, { ...FACTS, afterTriggers: ['audit'] })).toEqual(['columnar-trigger'])
  })

  test('is left alone where it has by itself what it could not have', () => {
    const trigger = { kind: 'trigger', name: 'audit', before: '', after: '', enabled: 'origin' } as const
    const { retire, skipped } = planRotation(
      situation(setOf([{ ...OLD!, own: [trigger] }, NEW!], { citus: CITUS }), '2026-06-15', { columnarFacts: FACTS }),
      request({ retire: 'columnar', accept: ['siblings:trigger'] }),
    )
    expect(retire).toEqual([])
    expect(skipped[0]?.reason).toBe('it has the trigger audit of its own, which a columnar table cannot have')
  })

  test('makes writers wait for a second only where that is accepted', () => {
    const large = { partitions: [partition('2026-01-01', '2026-02-01', { bytes: 3_000_000_000 }), NEW!] }
    const { objections } = planned(large)
    expect(objections).toMatchObject([{ code: 'columnar-writers', acceptable: true }])
    expect(objections[0]?.what).toContain('for about 3 s for the largest one')
    expect(codes(large, FACTS, ['columnar-writers'])).toEqual([])
    expect(codes({ partitions: [partition('2026-01-01', '2026-02-01', { bytes: 900_000_000 }), NEW!] })).toEqual([])
  })
})
