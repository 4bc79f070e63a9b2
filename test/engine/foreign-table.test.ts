import { expect } from 'vitest'
import { advise } from '../../src/library/advise.ts'
import { archive } from '../../src/library/archive.ts'
import { candidates } from '../../src/library/candidates.ts'
import { mark } from '../../src/library/mark.ts'
import { partition } from '../../src/library/partition.ts'
import { purge } from '../../src/library/purge.ts'
import { rebuild } from '../../src/library/rebuild.ts'
import { rotate } from '../../src/library/rotate.ts'
import { split } from '../../src/library/split.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { rollback } from '../../src/engine/runs/runs.ts'
import { partition as convert } from '../support/commands.ts'
import { test } from '../support/database.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { monthlyEvents } from './rotate-support.ts'

// What is said of foreign tables, and of partitions that are: one thing, before anything else, and without asking their
// server, which is not there.

/** A set with a foreign partition, and a foreign table beside it. */
async function foreign(database: Parameters<typeof monthlyEvents>[0]) {
  const columns = sql`id bigint, at timestamptz not null, token text`
  const table = await monthlyEvents(database, -2, 1, 'events', columns)
  const [leaf, plain] = [database.table('moved'), database.table('plain')]
  const options = sql`server cold options (schema_name 'far', table_name 'away')`
  await database.admin(
    sql`
    create extension if not exists postgres_fdw;
    create server cold foreign data wrapper postgres_fdw options (host '127.0.0.1', port '1', use_remote_estimate 'true');
    create user mapping for public server cold;
    create foreign table ${quoted(leaf)} partition of ${quoted(table)} for values from ('2019-01-01 00:00+00') to ('2020-01-01 00:00+00') ${options};
    create foreign table ${quoted(plain)} (${columns}) ${options}`.text,
  )
  return { table, leaf, plain }
}

interface Said {
  readonly objections: readonly { readonly code: string; readonly what: string; readonly fix: string }[]
}

test('a foreign table, and a partition that is one, are refused by one sentence, whatever is asked for', async ({
  database,
}) => {
  const { table, leaf, plain } = await foreign(database)
  const target = database.url
  const where = `token = 'none'`
  const commands: Record<string, (one: TableName) => Promise<unknown>> = {
    partition: (one) => partition(target, { table: one, by: 'at', every: 'month' }),
    split: (one) => split(target, { table: one }),
    rebuild: (one) => rebuild(target, { table: one, keep: null }),
    purge: (one) => purge(target, { table: one, where }),
    mark: (one) => mark(target, { table: one, where, column: 'deleted_at' }),
    candidates: (one) => candidates(target, { table: one, where }),
    archive: (one) => archive(target, { table: one, archive: 'file:///nowhere' }),
    rotate: async (one) => ((await rotate(target, { tables: [one] })) as unknown as { sets: Said[] }[])[0],
  }
  for (const [name, command] of Object.entries(commands))
    for (const one of [leaf, plain]) {
      const { objections } = (await command(one)) as Said
      expect([name, objections.map(({ code }) => code)]).toEqual([name, ['foreign-table']])
      expect(objections[0]!.what).toMatch(/is a foreign table: its rows are on the server cold, in far\.away$/)
      const mentions = name === 'split' ? 'Move its rows back' : name === 'rotate' ? 'Name ' : `ebb ${name} far.away`
      expect(objections[0]!.fix).toContain(mentions)
    }
  const divided = await split(target, { table, partition: leaf })
  expect(divided.objections.map(({ code }) => code)).toEqual(['foreign-table'])
  expect(await advise(target, { table: plain })).toMatchObject({
    ways: [],
    why: expect.stringMatching(/is a foreign table\. Run ebb on the server that has its rows/) as string,
  })
  // Of the table a condition decides.
  const limited = await purge(target, { table, where: `at >= '2026-01-01' and token = 'none'`, noArchive: true })
  expect(limited.objections).toEqual([])
  await database.admin(`alter server cold options (set use_remote_estimate 'false')`)
  const reaching = await purge(target, { table, where, noArchive: true })
  expect(reaching.objections.map(({ code }) => code)).toEqual([expect.stringMatching(/^foreign:/)])
})

test('a conversion is not rolled back to a foreign table that has taken the place of its rows', async ({
  database,
}) => {
  const [table, history] = [database.table('log'), database.table('log_history')]
  const owner = await database.session('owner')
  await owner.query(sql`create table ${quoted(table)} (at timestamptz not null)`)
  await owner.query(sql`insert into ${quoted(table)} select now() - n * interval '1 day' from generate_series(1, 50) n`)
  const { runId } = await convert(database.url, written(table), monthly({ by: 'at' }), quietly())
  const { rows } = await owner.query<{ bounds: string }>(
    sql`select pg_get_expr(relpartbound, oid) as bounds from pg_class where oid = ${quoted(history).text}::regclass`,
  )
  await database.admin(`
    create extension if not exists postgres_fdw;
    create server cold foreign data wrapper postgres_fdw options (host '127.0.0.1', port '1');
    drop table ${quoted(history).text};
    create foreign table ${quoted(history).text} partition of ${quoted(table).text} ${rows[0]!.bounds} server cold`)
  await expect(rollback(database.url, { runId }, quietly())).rejects.toThrow(/is no partition of .* any more/)
})
