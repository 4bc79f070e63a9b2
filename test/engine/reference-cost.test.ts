import { expect } from 'vitest'
import { readReferenceGraph } from '../../src/catalog/references/reference-graph.ts'
import { openSession } from '../../src/db/session.ts'
import { inSnapshot } from '../../src/db/transaction.ts'
import { measureLookUps } from '../../src/engine/purge/reference-cost.ts'
import { planCascade } from '../../src/plan/references/cascade.ts'
import { test } from '../support/database.ts'

test('lookups without an index are measured, level by level, in a read-only transaction', async ({ database }) => {
  const app = await database.session('app')
  await app.query(`
    create table a (id int primary key); create table b (id int primary key, a_id bigint references a);
    create table c (b_id int references b); create table d (a_id int references a); create index on d (a_id);
    create table e (a_id int references a); create index on e (a_id) where a_id is not null;
    insert into a select generate_series(1, 10);
    insert into b select n, n % 10 + 1 from generate_series(1, 200000) n; insert into c select generate_series(1, 1000);
    insert into e select n % 10 + 1 from generate_series(1, 20) n;
    analyze a, b, c, d, e`)
  const session = await openSession(database.url, 'purge')
  try {
    const { costs, walked } = await inSnapshot(session, async () => {
      const graph = await readReferenceGraph(session, { schema: 'public', name: 'a' })
      const cascade = planCascade(graph, { cascade: true, protect: [] })
      return { costs: await measureLookUps(session, cascade.walked), walked: cascade.walked }
    })
    expect(walked).toHaveLength(4)
    expect(costs.map(({ name }) => name)).toEqual(['b_a_id_fkey', 'c_b_id_fkey', 'e_a_id_fkey'])
    const cost = (name: string) => costs.find((one) => one.name === name)?.milliseconds ?? NaN
    expect(cost('b_a_id_fkey')).toBeGreaterThan(2 * cost('c_b_id_fkey'))
  } finally {
    await session.end()
  }
})
