import { describe, expect, test } from 'vitest'
import { removalDifferences } from '../../src/archive/removal-document.ts'
import { parseRemoval } from '../../src/archive/removal-text.ts'
import type { StoredRemoval } from '../../src/plan/archive/removal.ts'
import { archivedTable, receiptOf } from '../support/receipts.ts'

const head = {
  receipt: { uri: 'file:///archive/receipt.json', sha256: 'ab'.repeat(32) },
  run: { command: 'purge', id: '7', startedAt: '2026-11-29T13:15:07.250Z', endedAt: '2026-11-29T13:16:07.250Z' },
  batches: 2,
}
const rows = { archived: 3, deleted: 2, kept: 1, key: ['id'], keptKeys: [['4']] }
const orders = { schema: 'public', name: 'orders', ...rows }
const removal: StoredRemoval = { ...head, format: 2, how: 'deleted', tables: [orders] }

const read = (value: unknown) => parseRemoval(JSON.stringify(value), 'file:///archive/removal.json')

test('a removal document is read back, and one of the first format, of one table, as well', async () => {
  expect(await read(removal)).toEqual(removal)
  const { schema, name } = orders
  expect(await read({ ...head, format: 1, table: { schema, name }, ...rows })).toEqual(removal)
  const dropped = { archived: 5, deleted: 5, kept: 0, key: [], keptKeys: [] }
  expect(await read({ ...head, format: 1, how: 'dropped', table: { schema, name }, ...dropped })).toEqual({
    ...removal,
    how: 'dropped',
    tables: [{ schema, name, ...dropped }],
  })
})

test('of a later format it is refused', async () => {
  await expect(read({ ...removal, format: 3 })).rejects.toThrow(/has the format 3, and this version .* reads up to 2/)
})

test.for([
  ['not JSON', '{'],
  ['keys without columns', JSON.stringify({ ...removal, tables: [{ ...orders, key: [], keptKeys: [[]] }] })],
  ['keys of other columns', JSON.stringify({ ...removal, tables: [{ ...orders, key: ['id', 'at'] }] })],
  ['no list of keys', JSON.stringify({ ...removal, tables: [{ ...orders, keptKeys: undefined }] })],
  ['fewer keys than rows kept', JSON.stringify({ ...removal, tables: [{ ...orders, keptKeys: [] }] })],
  ['no table', JSON.stringify({ ...removal, tables: [] })],
  [
    'keys without columns, in the first format',
    JSON.stringify({ ...head, format: 1, table: orders, ...rows, key: [] }),
  ],
] as const)('one that has %s is damaged', async ([, text]) => {
  await expect(parseRemoval(text, 'removal.json')).rejects.toThrow(/removal.json is damaged/)
})

describe('one beside a receipt', () => {
  const receipt = receiptOf([archivedTable({ name: 'orders', rows: 3 })])
  const differing = (changes: Partial<StoredRemoval>) =>
    removalDifferences({ ...removal, ...changes }, receipt, removal.receipt.sha256).map(({ what }) => what)

  test('is of that receipt, and of as many rows', () => {
    expect(differing({})).toEqual([])
    expect(differing({ receipt: { ...head.receipt, sha256: 'cd'.repeat(32) } })).toEqual(['SHA-256 of the receipt'])
    expect(differing({ tables: [{ ...orders, archived: 4 }] })).toEqual(['rows archived'])
    expect(differing({ tables: [{ ...orders, deleted: 3 }] })).toEqual(['rows deleted or kept'])
    expect(differing({ tables: [{ ...orders, name: 'others' }] })).toEqual(['table'])
  })
})
