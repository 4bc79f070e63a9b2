import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import S3rver from 's3rver'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished } from 'vitest'
import { archive as archiveCommand } from '../../src/engine/commands/archive.ts'
import { carryOut } from '../../src/engine/run.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { archiveTo } from '../support/archiving.ts'
import { partitionByCopy, purge, rebuild, split } from '../support/commands.ts'
import { test, type Database } from '../support/database.ts'
import { purgeRequest } from '../support/purging.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { ACCESS_KEY, S3Server } from '../support/s3-server.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { leafOf, monthlyEvents, monthsOf, rotateOne } from './rotate-support.ts'
import { splitOrder } from './split-support.ts'

// A bucket that is not there, or cannot be used: each command that archives says so before anything is done.

let server: S3Server
beforeAll(async () => {
  Object.assign(process.env, {
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
  })
  authorize(ACCESS_KEY)
  server = await S3Server.start('archive')
})
afterAll(() => server.stop())
afterEach(() => {
  authorize(ACCESS_KEY)
  server.calm()
})

function authorize(key: string): void {
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: key, AWS_SECRET_ACCESS_KEY: key })
}

function to(bucket = 'archive', endpoint = server.endpoint) {
  return { noArchive: false, archive: archiveTo(`s3://${bucket}/x?region=us-east-1&endpoint=${endpoint}`) }
}

async function visits(database: Database): Promise<TableName> {
  const table = database.table('visits')
  const owner = await database.session('setup')
  await owner.query(
    sql`create table ${quoted(table)} (id int, created_at timestamptz not null, primary key (id, created_at))`.text,
  )
  await owner.query(
    sql`insert into ${quoted(table)} select n, now() - n * interval '1 day' from generate_series(1, 200) n`.text,
  )
  await owner.query(sql`analyze ${quoted(table)}`.text)
  return table
}

/** Neither a run nor a row has changed, and nothing is stored but, where removing is denied, the object that tried it. */
async function expectNothingDone(database: Database, table: TableName, rows: number): Promise<void> {
  const { rows: found } = await database.admin<{ rows: number; runs: number }>(
    sql`select (select count(*)::int from ${quoted(table)}) as rows, (select count(*)::int from ebb.run) as runs`,
  )
  expect(found).toEqual([{ rows, runs: 0 }])
  expect([...server.objects.keys()].filter((name) => !name.includes('ebb-probe'))).toEqual([])
}

function archiving(database: Database, table: TableName, { archive }: ReturnType<typeof to>) {
  return carryOut(database.url, written(table), archiveCommand, { where: null, to: archive }, quietly())
}

test('each reason is told as what it is', async ({ database }) => {
  const table = await visits(database)
  const deny = (operation: string, status: number, code: string) => {
    server.fault = (request) => (request.operation === operation ? { status, code } : undefined)
  }
  await expect(archiving(database, table, to('absent'))).rejects.toThrow('the bucket absent does not exist')
  for (const operation of ['PutObject', 'GetObject', 'ListObjectsV2']) {
    deny(operation, 403, 'AccessDenied')
    await expect(archiving(database, table, to())).rejects.toMatchObject({
      message: expect.stringContaining('the bucket archive denies this (AccessDenied') as string,
      advice: { next: expect.stringContaining('s3:PutObject, s3:GetObject and s3:ListBucket') as string },
    })
  }
  for (const [status, code] of [
    [301, 'PermanentRedirect'],
    [400, 'AuthorizationHeaderMalformed'],
    [400, 'IllegalLocationConstraintException'],
  ] as const) {
    deny('PutObject', status, code)
    await expect(archiving(database, table, to())).rejects.toThrow('the bucket archive is in another region')
  }
  deny('PutObject', 403, 'SignatureDoesNotMatch')
  await expect(archiving(database, table, to())).rejects.toThrow('does not accept the credentials (SignatureDoesNot')
  server.calm()
  authorize('AKIAWRONG')
  await expect(archiving(database, table, to())).rejects.toThrow('does not accept the credentials (InvalidAccessKeyId')
  await expectNothingDone(database, table, 200)
})

describe('before anything is done', () => {
  type Doing = (database: Database, table: TableName, how: ReturnType<typeof to>) => Promise<unknown>
  const keep = { count: 90, unit: 'day' } as const
  const copying = { transport: 'server', jobs: 1, retireAfter: null } as const
  const OF_A_TABLE: readonly [string, Doing][] = [
    ['archive', archiving],
    ['purge', (database, table, how) => purge(database.url, written(table), purgeRequest('id > 90', how), quietly())],
    [
      'rebuild',
      (database, table, how) =>
        rebuild(database.url, written(table), rebuildRequest({ keep: 'id <= 90', ...how }), quietly()),
    ],
    [
      'partition',
      (database, table, how) =>
        partitionByCopy(database.url, written(table), { ...monthly(), keep, ...copying, ...how }, quietly()),
    ],
  ]

  test('by archive, purge, rebuild and partition, also with the server of others', async ({ database }) => {
    const table = await visits(database)
    const directory = mkdtempSync(join(tmpdir(), 'ebb-s3rver-'))
    const configureBuckets = [{ name: 'archive', configs: [] }]
    const other = new S3rver({ port: 0, address: '127.0.0.1', silent: true, directory, configureBuckets })
    const { port } = await other.run()
    onTestFinished(async () => {
      await other.close()
      rmSync(directory, { recursive: true })
    })
    const endpoint = `http://127.0.0.1:${port}`
    for (const [name, doing] of OF_A_TABLE) {
      await expect(doing(database, table, to('absent')), name).rejects.toThrow('the bucket absent does not exist')
      await expect(doing(database, table, to('absent', endpoint)), name).rejects.toThrow('absent does not exist')
      authorize('AKIAWRONG')
      await expect(doing(database, table, to('archive', endpoint)), name).rejects.toThrow(
        'does not accept the credentials (InvalidAccessKeyId',
      )
      authorize(ACCESS_KEY)
    }
    await expectNothingDone(database, table, 200)
  })

  test('by rotate and split', async ({ database }) => {
    const table = await monthlyEvents(database, -5, 1)
    const rows = (await database.admin(sql`select from ${quoted(table)}`)).rowCount ?? 0
    const months = await monthsOf(database, table)
    const { failed, retired } = await rotateOne(database, table, { keep: '2 months', ...to('absent') })
    expect(failed.map(({ error }) => error.message)).toEqual([
      expect.stringContaining('the bucket absent does not exist') as string,
    ])
    expect(retired).toEqual([])
    expect((await monthsOf(database, table)).slice(0, months.length)).toEqual(months)
    const order = splitOrder({
      partition: written(leafOf(database, table, -2)),
      every: { kind: 'interval', interval: { count: 1, unit: 'week' } },
      keep: { count: 2, unit: 'month' },
      ...to('absent'),
    })
    await expect(split(database.url, written(table), order, quietly())).rejects.toThrow(
      'the bucket absent does not exist',
    )
    await expectNothingDone(database, table, rows)
  })
})
