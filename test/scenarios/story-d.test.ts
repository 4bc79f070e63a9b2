import { describe, expect } from 'vitest'
import { setTimeout as sleep } from 'node:timers/promises'
import { ebb } from '../cli/support.ts'
import { test, type Database } from '../support/database.ts'
import { startEbb, type EbbProcess } from '../support/ebb-process.ts'
import { until } from '../support/until.ts'

// Invoices with their lines: deployed over in the midst of a purge, and marked first where that is wanted.

const INVOICES = 12_000
const VOID = INVOICES / 4
/** Between batches: time enough for another process to start in. */
const SLOWLY_MS = 3_000

async function invoices(database: Database): Promise<void> {
  const owner = await database.session('setup')
  await owner.query(`
    create table invoices (id int primary key, created_at timestamptz not null, status text not null, deleted_at timestamptz);
    create table lines (id bigint generated always as identity primary key, invoice_id int not null references invoices);
    insert into invoices select n, now() - n * interval '1 minute', case when n % 4 = 0 then 'void' else 'paid' end from generate_series(1, ${INVOICES}) n;
    insert into lines (invoice_id) select n from generate_series(1, ${INVOICES}) n, generate_series(1, 3);
    create index on invoices (created_at); create index on lines (invoice_id)`)
  await owner.query('analyze')
}

function purgeVoid({ url }: Database, pauseMs = 0): string[] {
  const which = ['--where', `status = 'void'`, '--order-by', 'created_at', '--cascade', '--no-archive']
  return ['purge', 'invoices', ...which, '--pause-ms', String(pauseMs), '--execute', '--url', url]
}

async function counts(database: Database): Promise<{ void: number; paid: number; lines: number }> {
  const { rows } = await database.admin<{ void: number; paid: number; lines: number }>(`
    select count(*) filter (where status = 'void')::int as void, count(*) filter (where status = 'paid')::int as paid,
      (select count(*)::int from lines) as lines from invoices`)
  return rows[0] ?? { void: -1, paid: -1, lines: -1 }
}

async function somethingIsGone(database: Database, { said }: EbbProcess): Promise<void> {
  const gone = async () => (await counts(database)).void < VOID
  await until(gone, { what: `the first batch; ${said.err}` })
}

test('of two instances one works; killed, the run is resumed by the same command', async ({ database }) => {
  await invoices(database)
  const first = startEbb(purgeVoid(database, SLOWLY_MS))
  await somethingIsGone(database, first)
  const second = startEbb(purgeVoid(database))
  expect(await second.ended).toBe(75)
  expect(second.said.err).toMatch(/error: .*(public\.invoices|purge)[^]*\n next: /)

  first.kill('SIGKILL')
  expect(await first.ended).toBeNull()
  const { void: left, lines } = await counts(database)
  expect(left).toBeGreaterThan(0)
  expect(lines).toBe((left + INVOICES - VOID) * 3)

  const next = await untilLetIn(purgeVoid(database))
  expect(next.out).toContain('is purged of 3,000 rows (run 1).')
  expect(await counts(database)).toEqual({ void: 0, paid: INVOICES - VOID, lines: (INVOICES - VOID) * 3 })
  const { rows } = await database.admin<{ ordered: boolean; gone: number }>(`
    select bool_and(after is not distinct from before) as ordered, sum(rows)::int as gone from (
      select *, lag(upto) over (order by number) as before from ebb.purge_batch where pass = 'walk') b`)
  expect(rows).toEqual([{ ordered: true, gone: VOID }])
})

/** The server may still be winding up what was killed. */
async function untilLetIn(words: string[]) {
  for (let attempts = 0; ; attempts++) {
    const ran = await ebb(words)
    if (ran.code === 0 || attempts === 50) return ran
    await sleep(200)
  }
}

describe('mark now, purge at night', () => {
  test('marked rows are hidden at once, and deleted when due', async ({ database }) => {
    await invoices(database)
    const at = ['--url', database.url, '--execute']
    const view = await ebb(['view', 'invoices', '--hide-marked', 'deleted_at', ...at])
    expect(view.code, view.err).toBe(0)
    const marked = await ebb(['mark', 'invoices', '--where', `status = 'void'`, '--set', 'deleted_at', ...at])
    expect(marked.out).toContain('3,000 rows of public.invoices are marked')
    const seen = `select count(*)::int as n, count(*) filter (where status = 'void')::int as void from invoices_live`
    expect((await database.admin(seen)).rows).toEqual([{ n: INVOICES - VOID, void: 0 }])
    expect(await counts(database)).toMatchObject({ void: VOID })

    await database.admin(
      `update invoices set deleted_at = deleted_at - interval '2 days' where status = 'void' and id <= 400`,
    )
    const purge = ['purge', 'invoices', '--marked', 'deleted_at', '--cascade', '--no-archive', ...at]
    const old = await ebb([...purge, '--older-than', '1 day'])
    expect(old.out, old.err).toContain('is purged of 100 rows')
    const all = await ebb(purge)
    expect(all.out, all.err).toContain('is purged of 2,900 rows')
    expect(await counts(database)).toEqual({ void: 0, paid: INVOICES - VOID, lines: (INVOICES - VOID) * 3 })
    expect((await database.admin(seen)).rows).toEqual([{ n: INVOICES - VOID, void: 0 }])
  })
})
