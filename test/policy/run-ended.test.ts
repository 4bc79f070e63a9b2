import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { ebb } from '../cli/support.ts'
import { test, type Database } from '../support/database.ts'

/** `ebb run` whose time is up when some rows have been deleted: how long that takes depends on the machine. */
async function endedInTheMidst(database: Database, words: readonly string[]) {
  for (let seconds = 2; seconds <= 64; seconds *= 2) {
    const ran = await ebb([...words, '--max-duration', String(seconds)])
    if ((await countOf(database, 'public.logs')) < 4000) return ran
  }
  throw new Error('no row has been deleted in time')
}

async function configOf(policies: object): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'ebb-run-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 'ebb.config.json')
  await writeFile(file, JSON.stringify({ policies }))
  return ['run', '--config', file, '--execute']
}

async function countOf(database: Database, what: string): Promise<number> {
  return (await database.admin<{ n: number }>(`select count(*)::int as n from ${what}`)).rows[0]?.n ?? -1
}

test('a purge whose time is up ends with its batch, says so, and is continued', async ({ database }) => {
  await database.admin(`
    set role ebb_owner;
    create table public.logs (id int primary key, old boolean not null, note text default repeat('x', 100));
    insert into public.logs select n, n % 2 = 0 from generate_series(1, 4000) n;
    create function public.slowly() returns trigger language plpgsql as $$ begin perform pg_sleep(0.005); return old; end $$;
    create trigger slowly before delete on public.logs for each row execute function public.slowly()`)
  const words = [
    ...(await configOf({ 'public.logs': { purge: { where: 'old' }, archive: 'none' } })),
    '--url',
    database.url,
  ]
  const ended = await endedInTheMidst(database, words)
  expect(ended.code).toBe(75)
  expect(ended.out).toContain('  ended in the midst of: purge public.logs; the next run continues it\n')
  expect(ended.out).toMatch(
    /To be continued: public.logs\nThe time is up: what was done is kept, and the next run continues/,
  )
  expect(await countOf(database, 'public.logs')).toBeGreaterThan(2000)
  await database.admin(`
    create or replace function public.slowly() returns trigger language plpgsql as $$ begin return old; end $$`)
  const next = await ebb(words)
  expect(next.code, next.err).toBe(0)
  expect(next.err).toContain('resuming run 1')
  expect(await countOf(database, 'public.logs where old')).toBe(0)
})
