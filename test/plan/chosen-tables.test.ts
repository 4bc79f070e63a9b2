import { expect, test } from 'vitest'
import { chooseTables } from '../../src/plan/chosen-tables.ts'
import type { MatchingRelation } from '../../src/catalog/table/matching-relations.ts'
import type { TableName } from '../../src/sql/names.ts'

const named = (name: string): TableName => ({ schema: 's', name })

function relation(name: string, of: Partial<Omit<MatchingRelation, 'name'>> = {}): MatchingRelation {
  return { name: named(name), kind: 'table', partitionOf: [], ...of }
}

const matching = (...relations: MatchingRelation[]) => ({ pattern: 's.*', matching: relations })

test('each table once, in the order in which it was chosen', () => {
  const found = [{ table: named('z') }, matching(relation('a'), relation('z')), { table: named('a') }]
  expect(chooseTables(found, [])).toEqual({ tables: [named('z'), named('a')], skipped: [] })
})

test('a pattern leaves out views, partitions of tables that it matches, and what Ebb keeps', () => {
  const found = matching(
    relation('a'),
    relation('a_2026', { partitionOf: [named('a')] }),
    relation('b_2026', { partitionOf: [named('b')] }),
    relation('a_retired'),
    relation('f', { kind: 'foreign table' }),
    relation('v', { kind: 'view' }),
  )
  expect(chooseTables([found, found], [named('a_retired')])).toEqual({
    tables: [named('a'), named('b_2026')],
    skipped: [
      { table: named('a_2026'), reason: 'it is a partition of s.a' },
      { table: named('a_retired'), reason: 'Ebb keeps it for a rollback or an unfinished run' },
      { table: named('f'), reason: 'it is a foreign table' },
      { table: named('v'), reason: 'it is a view' },
    ],
  })
})

test('a partition of what Ebb keeps is left out with it', () => {
  const found = matching(relation('a'), relation('a_ebb'), relation('a_ebb_1', { partitionOf: [named('a_ebb')] }))
  expect(chooseTables([found], [named('a_ebb')]).tables).toEqual([named('a')])
})

test('what is named is taken, whatever it is', () => {
  const found = [matching(relation('a'), relation('v', { kind: 'view' })), { table: named('v') }]
  expect(chooseTables(found, [named('a_retired')])).toEqual({ tables: [named('a'), named('v')], skipped: [] })
  expect(chooseTables([{ table: named('a_retired') }], [named('a_retired')]).tables).toEqual([named('a_retired')])
})

test('a pattern of which nothing is left is an error, also beside tables', () => {
  expect(() => chooseTables([{ table: named('a') }, matching()], [])).toThrow("no table matches 's.*'")
  const views = matching(relation('v', { kind: 'view' }), relation('w', { kind: 'view' }))
  expect(() => chooseTables([views], [])).toThrow("no table matches 's.*'; of s.v: it is a view, and 1 more")
})
