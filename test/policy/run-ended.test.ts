import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { ebb } from '../cli/support.ts'
import { test, type Database } from '../support/database.ts'

/**
 * `ebb run` whose time is up at the moment when it says something: the process is kept busy until then, so that this does
 * not depend on how fast the machine is.
 */
async function endedAt(said: RegExp, words: readonly string[]) {
  for (let seconds = 2; seconds <= 32; seconds *= 2) {
    const end = performance.now() + seconds * 1000
    let seen = false
    const write = (text: string) => {
      if (seen || !said.test(text) || performance.now() > end) return
      seen = true
      while (performance.now() <= end + 50);
    }
    const err = { isTTY: false, columns: 100, write }
    const ran = await ebb([...words, '--max-duration', String(seconds)], { err })
    if (seen) return ran
  }
  throw new Error('it never came to that in time')
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
    insert into public.logs select n, n % 2 = 0 from generate_series(1, 4000) n`)
  const words = [
    ...(await configOf({ 'public.logs': { purge: { where: 'old' }, archive: 'none', pace: { pauseMs: 100 } } })),
    '--url',
    database.url,
  ]
  const ended = await endedAt(/delete rows/, words)
  expect(ended.code).toBe(75)
  expect(ended.out).toContain('  ended in the midst of: purge public.logs; the next run continues it\n')
  expect(ended.out).toMatch(
    /To be continued: public.logs\nThe time is up: what was done is kept, and the next run continues/,
  )
  expect(await countOf(database, 'public.logs')).toBeGreaterThan(2000)
  const next = await ebb(words)
  expect(next.code, next.err).toBe(0)
  expect(next.err).toContain('resuming run 1')
  expect(await countOf(database, 'public.logs where old')).toBe(0)
})
