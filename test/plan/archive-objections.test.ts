import { expect, test } from 'vitest'
import { planArchive } from '../../src/plan/archive/archive.ts'
import { ARCHIVE, archiveSituation } from './support/situations.ts'

test('a table without columns can be archived, but not in Parquet', () => {
  const { table } = archiveSituation()
  const situation = archiveSituation({ table: { ...table, columns: [] } })
  const codes = (format: 'csv' | 'parquet') =>
    planArchive(situation, { where: null, to: { ...ARCHIVE, format } }).objections.map(({ code }) => code)
  expect([codes('csv'), codes('parquet')]).toEqual([[], ['parquet-no-columns']])
})
