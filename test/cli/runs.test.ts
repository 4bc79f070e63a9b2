import { expect } from 'vitest'
import { display, quoted } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { ebb, eventsTable, objects } from './support.ts'

/** A run that is stopped, as by Ctrl-C, when it says that it begins the step: which may still come to its end. */
async function stoppedAt(step: number, args: readonly string[]) {
  const stop = new AbortController()
  const printed: string[] = []
  const err = {
    write: (text: string) => {
      printed.push(text)
      if (text.startsWith(`step ${step} of`)) stop.abort()
    },
    isTTY: false,
    columns: 100,
  }
  const { code } = await ebb(args, { err, signal: stop.signal })
  return { code, err: printed.join('') }
}

function convert(table: string, database: Database): string[] {
  return ['partition', table, '--by', 'at', '--every', 'month', '--url', database.url, '--execute']
}

test('a stopped run exits with 4, is shown by status, and resume finishes it', async ({ database }) => {
  const table = display(await eventsTable(database))
  const { code, err } = await stoppedAt(4, convert(table, database))
  expect(code).toBe(4)
  expect(err).toMatch(/error: stopped .*\n {2}now: .*\n next: .*resumes from here/)

  const status = await ebb(['status', '--url', database.url])
  expect(status.out).toMatch(/1 {2}partition .* unfinished, [34] of \d+ steps done/)
  expect(status.out).toContain('resume: ebb resume 1 --execute')
  const exitCode = async () => (await ebb(['status', '--exit-code', '--url', database.url])).code
  expect([status.code, await exitCode()]).toEqual([0, 75])

  const shown = await ebb(['resume', '1', '--url', database.url])
  expect(shown.code).toBe(0)
  expect(shown.out).toContain('-- Step 1 of')
  expect(shown.out).not.toContain('dry run')

  const resumed = await ebb(['resume', '--url', database.url, '--execute'])
  expect(resumed.err).toMatch(/^resuming run 1: [34] of \d+ steps are done/)
  expect(resumed.code).toBe(0)
  expect(resumed.out).toContain(`${table} is partitioned (run 1).`)
  expect((await ebb(['status', '--url', database.url])).out).toContain('Tables managed by rotate')
  expect(await exitCode()).toBe(0)
})

test('abandon shows what it would undo, and undoes it', async ({ database }) => {
  const table = display(await eventsTable(database))
  await stoppedAt(4, convert(table, database))
  const shown = await ebb(['abandon', table, '--url', database.url])
  expect(shown.code).toBe(0)
  expect(shown.out).toContain('drop constraint')
  const done = await ebb(['abandon', table, '--url', database.url, '--execute'])
  expect(done).toMatchObject({ code: 0 })
  expect(done.out).toContain(`Run 1 is abandoned: ${table} is as it was before.`)
  expect((await ebb(['abandon', table, '--url', database.url])).err).toContain('nothing to abandon')
})

test('rollback restores a plain table; it objects to rows in other partitions', async ({ database }) => {
  const name = await eventsTable(database)
  const table = display(name)
  await ebb(convert(table, database))
  const back = ['rollback', table, '--url', database.url]
  const shown = await ebb(back)
  expect(shown.code).toBe(0)
  expect(shown.out.trimEnd().split('\n').at(-1)).toContain('Nothing has been changed.')
  const done = await ebb([...back, '--execute'])
  expect(done.code).toBe(0)
  expect(done.out).toContain(`${table} is a plain table again`)

  await ebb(convert(table, database))
  const client = await database.session('late writer')
  await client.query(
    sql`insert into ${quoted(name)} (at, kind) values (date_trunc('month', now()) + interval '100 days', 'new')`,
  )
  const refused = await ebb([...back, '--execute', '--json'])
  expect(refused.code).toBe(3)
  expect(objects(refused.out).at(-1)).toMatchObject({ type: 'plan', plan: { objections: [{}] } })
})

test('status of a database without a journal', async ({ database }) => {
  expect(await ebb(['status', '--url', database.url])).toMatchObject({
    code: 0,
    out: 'There are no runs in this database yet.\n',
  })
  const json = await ebb(['status', '--url', database.url, '--json'])
  expect(objects(json.out)).toEqual([
    {
      type: 'status',
      status: { runs: [], sets: [], holds: [], detached: [], leftovers: [], archives: [], retired: [] },
    },
  ])
})

test('a run that does not exist', async ({ database }) => {
  for (const command of ['resume', 'abandon', 'rollback']) {
    const { code, err } = await ebb([command, '7', '--url', database.url, '--execute'])
    expect(code, command).toBe(2)
    expect(err, command).toMatch(/^error: there is no .*\n {2}now: .*\n next: See ebb status\.\n$/)
  }
})
