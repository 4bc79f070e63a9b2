import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, vi } from 'vitest'
import { display, quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { archiveFolder } from '../support/archiving.ts'
import { test, type Database } from '../support/database.ts'
import { contentOf } from '../support/purging.ts'
import { ACCESS_KEY, S3Server } from '../support/s3-server.ts'
import { ebb, eventsTable, objects } from './support.ts'

let folder: Awaited<ReturnType<typeof archiveFolder>>
beforeEach(async () => void (folder = await archiveFolder()))
afterEach(() => folder.close())

async function archived(database: Database, table: TableName, ...words: string[]): Promise<string> {
  const line = ['archive', display(table), '--archive', folder.path, '--url', database.url, '--execute', ...words]
  const { code, err } = await ebb(line)
  expect([code, err.replace(/^.*(?:step|done|progress).*$/gm, '').trim()]).toEqual([0, ''])
  const found = (await readdir(folder.path, { recursive: true })).filter((name) => name.endsWith('receipt.json'))
  return join(folder.path, found.sort().at(-1) ?? '')
}

test('rows come back, and what was left is counted, and listed where values may be shown', async ({ database }) => {
  const table = await eventsTable(database)
  const before = await contentOf(database, table)
  const receipt = await archived(database, table)
  const change = (statement: string) => database.admin(statement)
  await change(sql`delete from ${quoted(table)} where id <= 1000`.text)
  await change(sql`update ${quoted(table)} set kind = 'other' where id in (1500, 1600)`.text)

  const line = ['restore', receipt, '--url', database.url]
  const plan = await ebb(line)
  expect(plan.out.replace(/\n-- +/g, ' ')).toContain('nothing is overwritten')
  const first = await ebb([...line, '--execute', '--hold', 'none'])
  expect(first.code, first.err).toBe(0)
  expect(first.out).toContain('1,000 rows are restored into')
  expect(first.out).toContain('998 archived rows are there with the same values.')
  expect(first.out).toContain('2 archived rows are there with other values, and were left as they are.')
  expect(first.out).not.toContain('id = 1500')
  const shown = await ebb([...line, '--execute', '--hold', 'none', '--show-values'])
  expect(shown.out).toContain(`left: ${display(table)} id = 1500`)
  const json = await ebb([...line, '--execute', '--hold', 'none', '--json'])
  expect(objects(json.out).at(-1)).toMatchObject({ result: { restored: { differing: 2 } } })
  expect(json.out).not.toContain('1500')
  const last = await ebb([...line, '--execute', '--hold', 'none', '--on-conflict', 'overwrite'])
  expect(last.out).toContain('2 rows that were there with other values are overwritten.')
  expect(await contentOf(database, table)).toEqual(before)
})

test('what cannot be read stops a restore before anything is done, and says what to do', async ({ database }) => {
  const table = await eventsTable(database)
  const receipt = await archived(database, table)
  await database.admin(sql`delete from ${quoted(table)} where id <= 1000`.text)
  const left = await contentOf(database, table)
  const text = await readFile(receipt, 'utf8')
  const refused = async (reason: RegExp, code: number, ...words: string[]) => {
    const ran = await ebb(['restore', ...words, '--url', database.url, '--execute'])
    expect([ran.code, ran.err + ran.out]).toEqual([code, expect.stringMatching(reason)])
    expect(await contentOf(database, table)).toEqual(left)
    const { rows } = await database.admin(`select from ebb.run where command = 'restore'`)
    expect(rows).toEqual([])
  }
  const altered = async (name: string, change: (text: string) => string) => {
    const path = join(receipt, '..', name)
    await writeFile(path, change(text))
    return path
  }

  await refused(/ftp/, 2, 'ftp://host/receipt.json')
  await refused(/there is no object/, 1, join(folder.path, 'none.json'))
  const newer = await altered('newer.json', (all) => all.replace('"format": 1', '"format": 99'))
  await refused(/format 99, and this version of Ebb reads up to 1[^]*Use a later version/, 1, newer)
  await refused(/is damaged: it is not JSON/, 1, await altered('cut.json', (all) => all.slice(0, -40)))
  await refused(/is damaged: .*tables/, 1, await altered('less.json', (all) => all.replace('"tables"', '"table"')))
  const other = await altered('other.json', (all) => all.replaceAll('"rows": 2000', '"rows": 1999'))
  await refused(/the journal has/, 3, other)
  await refused(/has no rows of .*others/, 2, receipt, '--table', 'public.others')

  await database.admin(`create table others (number int primary key, note text not null)`)
  await database.admin(`grant all on others to public`)
  const strange =
    /no column id any more[^]*no column at any more[^]*no column kind any more[^]*number was added since, is not null/
  await refused(strange, 3, receipt, '--into', 'others')
  await database.admin(`create view shown as select * from others; create table theirs (id bigint primary key)`)
  await refused(/may not insert into public.theirs/, 3, receipt, '--into', 'theirs')
  await database.admin(`grant all on shown to public`)
  await refused(/is a view/, 3, receipt, '--into', 'shown')
})

test('an encrypted archive needs its identity before a table is made for it', async ({ database }) => {
  const table = await eventsTable(database)
  const identity = await generateX25519Identity()
  const receipt = await archived(database, table, '--encrypt-to', await identityToRecipient(identity))

  const line = ['restore', receipt, '--into', 'back', '--url', database.url, '--execute']
  const { code, err } = await ebb(line)
  expect([code, err]).toEqual([2, expect.stringMatching(/is encrypted, and there is no identity[^]*--identity-file/)])
  expect((await database.admin(`select to_regclass('back') as made`)).rows).toEqual([{ made: null }])
  const other = await ebb(line, { env: { AGE_IDENTITY: await generateX25519Identity() } })
  expect([other.code, other.err]).toEqual([2, expect.stringContaining('no identity matched')])
  const found = await ebb(line, { env: { AGE_IDENTITY: identity } })
  expect(found.out, found.err).toContain('2,000 rows are restored into public.back')
})

test('a place where nothing can be stored stops an archive before anything is read', async ({ database }) => {
  const table = await eventsTable(database)
  const s3 = await S3Server.start('archive')
  const keys = {
    AWS_ACCESS_KEY_ID: ACCESS_KEY,
    AWS_SECRET_ACCESS_KEY: ACCESS_KEY,
    AWS_CONFIG_FILE: '/dev/null',
    AWS_EC2_METADATA_DISABLED: 'true',
  }
  for (const [name, value] of Object.entries(keys)) vi.stubEnv(name, value)
  const bucket = (name: string) => `s3://${name}/audit?region=us-east-1&endpoint=${encodeURIComponent(s3.endpoint)}`
  const file = join(folder.path, 'file')
  await writeFile(file, '')
  const refused = async (reason: RegExp, code: number, to: string) => {
    const ran = await ebb(['archive', display(table), '--archive', to, '--url', database.url, '--execute'])
    expect([ran.code, ran.err]).toEqual([code, expect.stringMatching(reason)])
    const { rows } = await database.admin(`select from pg_tables where schemaname = 'ebb' and tablename = 'archive'`)
    if (rows.length > 0) expect((await database.admin(`select from ebb.archive`)).rows).toEqual([])
  }
  try {
    await refused(/ftp/, 2, 'ftp://host/archive')
    await refused(/directory.* (?:is not there|does not exist)|no directory/i, 1, join(folder.path, 'gone'))
    await refused(/not a directory/i, 1, file)
    await refused(/./, 1, '/proc')
    const gone = ['--archive', join(folder.path, 'gone'), '--url', database.url, '--execute']
    const purged = await ebb(['purge', display(table), '--where', 'id < 9', ...gone])
    expect([purged.code, (await database.admin(`select from ebb.run`)).rows]).toEqual([1, []])
    await refused(/no bucket|bucket.* (?:is not there|does not exist)/i, 1, bucket('nowhere'))
    s3.fault = () => ({ status: 403, code: 'AccessDenied' })
    await refused(/denied|not allowed|no right/i, 1, bucket('archive'))
  } finally {
    vi.unstubAllEnvs()
    await s3.stop()
  }
})
