import { describe, expect, test } from 'vitest'
import { archiveId, folderOfArchive, hiveFolder, objectName, tableFolder } from '../../src/plan/archive/names.ts'

const AT = new Date('2026-11-29T13:15:07.250Z')

describe('names of archives', () => {
  test('an archive and its objects', () => {
    const table = { schema: 'public', name: 'events' }
    const id = archiveId(tableFolder(table), AT, '5f0c9a1e')
    expect(id).toBe('public.events/20261129T131507250Z-5f0c9a1e')
    const encrypted = { format: 'csv', compression: 'zstd', encryption: {} } as const
    expect(objectName(table, 1, encrypted)).toBe('public.events-00001.csv.zst.age')
    expect(objectName(table, 12, { format: 'csv', compression: 'gzip', encryption: null })).toBe(
      'public.events-00012.csv.gz',
    )
    expect(objectName(table, 12, { format: 'parquet', compression: 'zstd', encryption: null })).toBe(
      'public.events-00012.parquet',
    )
    expect(folderOfArchive(`${id}/${objectName(table, 1, encrypted)}`)).toBe(id)
    expect(folderOfArchive(`${id}/receipt.json`)).toBe(id)
  })

  test('the folder of an archive is found in a store, in what it is a part of, and in a part of it', () => {
    const within = '20261129T131507250Z-5f0c9a1e/receipt.json'
    expect(folderOfArchive(within)).toBe('20261129T131507250Z-5f0c9a1e')
    expect(folderOfArchive(`backups/public.events/${within}`)).toBe(
      'backups/public.events/20261129T131507250Z-5f0c9a1e',
    )
    for (const name of ['readme.txt', 'public.events/readme.txt', 'a/20261129T131507250Z-5f0c9a1e', `a/${within}/b`])
      expect(folderOfArchive(name)).toBeNull()
  })

  test('of any table they are plain, distinct in any file system, and no longer than one allows', () => {
    const parts = [
      'events',
      'Events',
      'EVENTS',
      'a.b',
      'a',
      'b',
      'a/b',
      'a"b',
      'a_b',
      '..',
      '.',
      ' ',
      'ünï',
      '表',
      '\u{1d11e}'.repeat(15),
      'x'.repeat(63),
      'x'.repeat(62),
    ]
    const tables = parts.flatMap((schema) => parts.map((name) => ({ schema, name })))
    const folders = tables.map(tableFolder)
    expect(new Set(folders.map((name) => name.toLowerCase()))).toHaveLength(tables.length)
    for (const folder of folders) {
      expect(folder).toMatch(/^[a-z0-9_-]+\.[a-z0-9_-]+$/)
      expect(folder.length).toBeLessThan(120)
      expect(folderOfArchive(`${archiveId(folder, AT, '1')}/receipt.json`)).not.toBeNull()
    }
  })

  test('a name that resembles that of another table is distinguished from it', () => {
    const odd = tableFolder({ schema: 'public', name: 'Events' })
    expect(odd).toMatch(/^public\.events-[0-9a-f]{12}$/)
    expect(tableFolder({ schema: 'public', name: odd.slice('public.'.length) })).not.toBe(odd)
  })
})

test.each([
  ["FOR VALUES FROM ('2026-11-01 00:00:00+00') TO ('2026-12-01 00:00:00+00')", 'at_from=2026-11-01'],
  ["FOR VALUES FROM ('2026-11-01') TO (MAXVALUE)", 'at_from=2026-11-01'],
  ["FOR VALUES FROM ('2026-11-01 05:30:00') TO ('2026-12-01')", 'at_from=2026-11-01%2005%3A30%3A00'],
  ['FOR VALUES FROM (MINVALUE) TO (5)', 'at_from=MINVALUE'],
  ["FOR VALUES FROM ('../x') TO ('y')", 'at_from=..%2Fx'],
])('a partition %s is in the folder %s', (bounds, folder) => {
  const table = { schema: 'public', name: 'events' }
  expect(hiveFolder(table, 'at', ['at', 'id'], bounds)).toBe(`public.events/${folder}`)
  expect(hiveFolder(table, 'at', ['at', 'at_from'], bounds)).toBe(`public.events/${folder.replace('_from', '_from_')}`)
  expect(folderOfArchive(`public.events/${folder}/20261129T131507250Z-5f0c9a1e/receipt.json`)).not.toBeNull()
})
