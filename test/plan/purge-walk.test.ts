import { UNPUBLISHED } from '../support/models.ts'
import { describe, expect, test } from 'vitest'
import type { LeafIndex, LeafModel } from '../../src/catalog/partitions/purge-leaves.ts'
import { chooseWalk } from '../../src/plan/purge/walk.ts'

/** A million rows of 160 bytes or so. */
function leaf(given: Partial<LeafModel> = {}): LeafModel {
  return {
    oid: '1',
    name: { schema: 'public', name: 'events' },
    kind: 'table',
    accessMethod: 'heap',
    blocks: 20_000,
    rows: 1_000_000,
    matching: 500_000,
    plannedIndex: null,
    missingPrivileges: [],
    mayVacuum: true,
    rowsHidden: false,
    deleteRules: [],
    deleteTriggers: [],
    statementTriggers: [],
    disabledConstraints: [],
    published: UNPUBLISHED,
    columns: ['id', 'at'],
    indexes: [byAt],
    ...given,
  }
}

const at = { name: 'at', type: 'pg_catalog.timestamptz', operators: [], notNull: true }
const byAt: LeafIndex = { name: 'by_at', columns: [at], unique: false, rowsPerKey: 1.2, coversMatches: true }

function walkOf(given: Partial<LeafModel>, orderBy: string | null = null): string {
  const { walk } = chooseWalk(leaf(given), orderBy).leaf
  return walk.kind === 'blocks' ? 'blocks' : walk.index
}

describe('choice of the walk', () => {
  test.for<[string, Partial<LeafModel>, string]>([
    ['no index would be used', { plannedIndex: null, matching: 10 }, 'blocks'],
    ['an index leads to few rows', { plannedIndex: 'by_at', matching: 1_000 }, 'by_at'],
    ['an index leads to many, which cost less block by block', { plannedIndex: 'by_at', matching: 500_000 }, 'blocks'],
    [
      'wide rows: reading all blocks costs more',
      { plannedIndex: 'by_at', matching: 500_000, blocks: 120_000 },
      'by_at',
    ],
    ['an index that cannot be walked along', { plannedIndex: 'gin', matching: 10 }, 'blocks'],
    [
      'too many rows per key value',
      { plannedIndex: 'by_at', matching: 10, indexes: [{ ...byAt, rowsPerKey: 5_000 }] },
      'blocks',
    ],
    [
      'rows that the index does not have in order',
      { plannedIndex: 'by_at', matching: 10, indexes: [{ ...byAt, coversMatches: false }] },
      'blocks',
    ],
    ['a table that was never analysed', { plannedIndex: 'by_at', matching: 10, rows: null }, 'by_at'],
  ])('%s', ([, given, expected]) => {
    expect(walkOf(given)).toBe(expected)
  })

  test('with --order-by: the most selective index in that order', () => {
    const pair = { ...byAt, name: 'by_at_id', columns: [at, { ...at, name: 'id' }], rowsPerKey: 1 }
    expect(walkOf({ indexes: [byAt, pair] }, 'at')).toBe('by_at_id')
    expect(walkOf({ indexes: [byAt, pair] }, 'id')).toBe('blocks')
    expect(walkOf({ indexes: [{ ...byAt, coversMatches: false }] }, 'at')).toBe('blocks')
  })

  test('a unique index on nullable columns does not identify all rows', () => {
    const unique = { ...byAt, unique: true, columns: [{ ...at, notNull: false }] }
    const { walk } = chooseWalk(leaf({ indexes: [unique] }), 'at').leaf
    expect(walk).toMatchObject({ kind: 'key', unique: false })
  })
})

describe('the number of rows per block is estimated', () => {
  test.for<[string, Partial<LeafModel>, number | null]>([
    ['twice as many as there are on average', {}, 100],
    ['never for an empty table', { blocks: 0 }, null],
    ['never without statistics', { rows: null }, null],
    ['never where triggers fire, for a row may then do anything', { deleteTriggers: ['audit'] }, null],
  ])('%s', ([, given, expected]) => {
    expect(chooseWalk(leaf(given), null).leaf.rowsPerBlock).toBe(expected)
  })
})
