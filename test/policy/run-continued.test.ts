import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { ebb } from '../cli/support.ts'
import { test, type Database } from '../support/database.ts'
import { startEbb } from '../support/ebb-process.ts'
import { startPgBouncer } from '../support/pgbouncer.ts'

async function logs(database: Database): Promise<void> {
  await database.admin(`
    set role ebb_owner;
    create table public.logs (id int primary key, old boolean not null, note text default repeat('x', 100));
    insert into public.logs select n, n % 2 = 0 from generate_series(1, 4000) n`)
}

const counts = async (database: Database) =>
  (await database.admin<{ n: number }>('select count(*)::int as n from public.logs')).rows[0]?.n

test('behind PgBouncer, killed in the midst of a purge with an archive: the next run continues it', async ({
  database,
  needs,
}) => {
  await logs(database)
  const url = await startPgBouncer(needs('pgbouncer'), database, 'session')
  const folder = await mkdtemp(join(tmpdir(), 'ebb-run-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 'ebb.config.json')
  const policy = { purge: { where: 'old' }, archive: folder, pace: { pauseMs: 100 } }
  await writeFile(file, JSON.stringify({ policies: { 'public.logs': policy } }))
  const words = ['run', '--config', file, '--url', url, '--execute']

  const killed = startEbb(words)
  await killed.says(/delete rows/)
  killed.kill('SIGKILL')
  await killed.ended
  const next = await ebb(words)
  expect(next.code, next.out + next.err).toBe(0)
  expect(await counts(database)).toBe(2000)
  const { rows } = await database.admin('select status from ebb.run')
  expect(rows).toEqual([{ status: 'done' }])
  const { rows: archives } = await database.admin(
    'select rows::int, receipt_uri is not null as receipt, removal_at is not null as removal from ebb.archive',
  )
  expect(archives).toEqual([{ rows: 2000, receipt: true, removal: true }])
})
