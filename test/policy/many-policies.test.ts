import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { run } from '../../src/index.ts'
import { ebb } from '../cli/support.ts'
import { test, type Database } from '../support/database.ts'

const MANY = Number(process.env.EBB_TEST_POLICIES ?? 12)
const IDLE = { partition: { by: 'at', every: '1 month', premake: 1 }, archive: 'none' as const }

test(
  `of ${MANY} policies three are broken: the others are done, the three are named, and few sessions are opened`,
  { timeout: 60_000 + MANY * 2_000 },
  async ({ database, onTestFinished }) => {
    await sets(database, MANY)
    // More rows than the next partition can take out of the DEFAULT one; a delete that ends its own session; a folder that is none.
    await database.admin(`
      set role ebb_owner;
      create table public.set_5_rest partition of public.set_5 default;
      insert into public.set_5 select date_trunc('month', now()) + interval '40 days' from generate_series(1, 1001);
      create table public.logs (id int primary key); insert into public.logs values (0), (1), (2);
      create function public.suicide() returns trigger language plpgsql as
        $$ begin perform pg_terminate_backend(pg_backend_pid()); return old; end $$;
      create trigger suicide before delete on public.logs for each row execute function public.suicide();
      insert into public.set_11 select date_trunc('month', now()) - interval '10 days';
      insert into public.set_11 values (now())`)
    const tables = Array.from({ length: MANY }, (_, i) => `public.set_${i + 1}`)
    const policies: Record<string, unknown> = Object.fromEntries(tables.map((name) => [name, IDLE]))
    policies['public.set_11'] = { ...IDLE, keep: '1 day', archive: '/dev/null/archive' }
    const config = { policies: insertAt(policies, 7, 'public.logs', { purge: { where: 'id > 0' }, archive: 'none' }) }
    const folder = await mkdtemp(join(tmpdir(), 'ebb-many-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const file = join(folder, 'ebb.config.json')
    await writeFile(file, JSON.stringify(config))

    const before = await counts(database)
    const done = await ebb(['run', '--config', file, '--url', database.url, '--execute'])
    expect(done.out, done.err).toMatch(
      new RegExp(
        `\\n${MANY + 1} policies: ${MANY - 2} done\\nFailed: public.set_11\\nWith blocking issues: public.set_5\\nTo be continued: public.logs\\n`,
      ),
    )
    expect(done.out).toMatch(/public.logs: .*\n {2}failed: purge public.logs: .*connection/)
    expect(done.code).toBe(1)
    const { rows } = await database.admin<{ n: number }>(
      `select count(*)::int as n from pg_inherits h join pg_class c on c.oid = h.inhparent where c.relname like 'set%'`,
    )
    // One more of each, but for set_5; set_11 has lost none.
    expect(rows[0]?.n).toBe(MANY * 2 + MANY - 1 + 1)
    // A few for all of them, and those that replace the broken ones; they used to be eight for each policy.
    expect((await counts(database)) - before).toBeLessThan(MANY)

    // Once nothing is due, it takes no lease, and a policy needs a few dozen queries.
    const calm = { policies: Object.fromEntries(tables.slice(0, 4).map((name) => [name, IDLE])) }
    const { rows: leases } = await database.admin(`select * from ebb.lease order by table_name`)
    const again = await run(database.url, { config: calm, execute: true })
    expect(again.policies.map(({ rotation }) => rotation?.sets[0]?.failed)).toEqual([[], [], [], []])
    expect((await database.admin(`select * from ebb.lease order by table_name`)).rows).toEqual(leases)
    const { rows: rotated } = await database.admin<{ late: number }>(
      `select count(*)::int as late from ebb.partition_set where table_name in ('set_1', 'set_2', 'set_3', 'set_4') and rotated_at < now() - interval '1 minute'`,
    )
    expect(rotated[0]?.late).toBe(0)
  },
)

function insertAt(of: Record<string, unknown>, position: number, name: string, value: unknown) {
  const entries = Object.entries(of)
  return Object.fromEntries([...entries.slice(0, position), [name, value], ...entries.slice(position)])
}

/** Sets with this month and the last. */
async function sets(database: Database, many: number): Promise<void> {
  await database.admin(`
    set role ebb_owner; set timezone = 'UTC';
    do $$ declare m date := date_trunc('month', now()); i int; k int; begin
      for i in 1..${many} loop
        execute format('create table public.set_%s (at timestamptz not null) partition by range (at)', i);
        for k in 0..1 loop
          execute format('create table public.set_%1$s_%2$s partition of public.set_%1$s for values from (%3$L) to (%4$L)', i,
            to_char(m - k * interval '1 month', 'YYYY_MM'), m - k * interval '1 month', m - (k - 1) * interval '1 month');
        end loop;
      end loop;
    end $$`)
}

/** Sessions that were opened in this database, as far as they have ended. */
async function counts(database: Database): Promise<number> {
  const { rows } = await database.admin<{ n: number }>(
    `select pg_stat_clear_snapshot(), sessions::int as n from pg_stat_database where datname = current_database()`,
  )
  return rows[0]?.n ?? 0
}
