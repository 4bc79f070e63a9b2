import { describe, expect } from 'vitest'
import { removeLeftovers } from '../../src/engine/runs/leftovers.ts'
import { abandon, resume, status } from '../../src/engine/runs/runs.ts'
import { describeStatus } from '../../src/report/status.ts'
import { test, type Database } from '../support/database.ts'
import { startTool, type Errand } from '../support/process.ts'
import { purgeRequest, purgeRows } from '../support/purging.ts'
import { persevere, quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { rebuild } from '../support/commands.ts'
import { rebuildRequest } from '../support/rebuilding.ts'

// A temporary index of a table whose foreign key has none: it is there while rows are deleted that it references, and in
// the end it is not, wherever the run that has built it ends.

const ORDERS = { schema: 'public', name: 'orders' }
const LINES = { schema: 'public', name: 'order_lines' }
const REFERENCE = 'public.order_lines.order_lines_order_id_fkey'
const REQUEST = purgeRequest('id <= 300', { cascade: true, accept: [`helper-index:${REFERENCE}`] })

/** Lines enough for a scan of them to take milliseconds. */
async function orders(database: Database, onDelete = 'cascade'): Promise<void> {
  const owner = await database.session('setup')
  await owner.query(`
    create table orders (id int primary key);
    create table order_lines (id int primary key, order_id int references orders on delete ${onDelete});
    insert into orders select generate_series(1, 1000);
    insert into order_lines select n, 1 + n % 1000 from generate_series(1, 100000) n;
    analyze orders; analyze order_lines`)
}

async function helpersOf(database: Database): Promise<string[]> {
  const { rows } = await database.admin<{ name: string }>(
    `select relname as name from pg_class where relname ~ '_ebb_helper_' order by 1`,
  )
  return rows.map(({ name }) => name)
}

async function expectPurged(database: Database): Promise<void> {
  const { rows } = await database.admin(
    `select (select count(*)::int from orders) as orders, (select count(*)::int from order_lines where order_id is not null) as lines,
       (select count(*)::int from pg_index where not indisvalid) as invalid`,
  )
  expect(rows).toEqual([{ orders: 700, lines: 70_000, invalid: 0 }])
  expect(await helpersOf(database)).toEqual([])
}

const errandOn = (database: Database): Errand => ({
  command: 'purge',
  url: database.url,
  table: ORDERS,
  purge: REQUEST,
})

test.for(['cascade', 'set null'])(
  'while rows go that are referenced on delete %s, an index finds the others',
  async (onDelete, { database }) => {
    await orders(database, onDelete)
    const seen: Promise<string[]>[] = []
    const { figures, steps } = await purgeRows(database, ORDERS, REQUEST, {
      observer: (event) => {
        if (event.type === 'step started' && event.step.kind === 'purge') seen.push(helpersOf(database))
      },
    })
    expect(await Promise.all(seen)).toEqual([[expect.stringMatching(/^order_lines_ebb_helper_1_[0-9a-f]{8}$/)]])
    expect(figures?.rows).toBe(300)
    expect(steps.map(({ key }) => key.replace(/[0-9a-f]{8}$/, '…'))).toEqual([
      'helper-index:1',
      'purge',
      'check',
      'drop public.order_lines_ebb_helper_1_…',
    ])
    await expectPurged(database)
  },
)

test.for(['helper-index:1', 'check'])(
  'after a kill when step %s was done, it is finished by the same command',
  async (key, { database }) => {
    await orders(database)
    expect(await startTool({ ...errandOn(database), dieAt: `step finished: ${key}` }).end()).toBe('SIGKILL')
    expect(await helpersOf(database)).toHaveLength(1)
    expect(describeStatus(await status(database.url, quietly()), [], 'ebb').join('\n')).toMatch(
      /until then public.order_lines may have a temporary index, which costs every write/,
    )
    await persevere(() => purgeRows(database, ORDERS, REQUEST))
    await expectPurged(database)
  },
)

test.for(['resume', 'abandon'] as const)('killed while it is built: %s', async (command, { database }) => {
  await orders(database)
  const holder = await database.session('holder')
  await holder.query('begin; update order_lines set order_id = order_id where id = 1')
  const tool = startTool(errandOn(database))
  await until(async () => (await helpersOf(database)).length === 1)
  tool.signal('SIGKILL')
  await tool.end()
  await holder.query('commit')
  expect(await helpersOf(database)).toHaveLength(1)

  if (command === 'abandon') {
    await persevere(() => abandon(database.url, { table: ORDERS }, quietly()))
    expect(await helpersOf(database)).toEqual([])
    expect((await database.admin('select from orders')).rowCount).toBe(1000)
  } else {
    await persevere(() => resume(database.url, { table: ORDERS }, quietly()))
    await expectPurged(database)
  }
})

describe('one that no known run has left', () => {
  async function leftBehind(database: Database): Promise<string> {
    await orders(database)
    expect(await startTool({ ...errandOn(database), dieAt: 'step started: purge' }).end()).toBe('SIGKILL')
    expect((await status(database.url, quietly())).leftovers).toEqual([])
    await database.admin('truncate ebb.run cascade')
    const [name = ''] = await helpersOf(database)
    expect((await status(database.url, quietly())).leftovers).toEqual([
      { kind: 'helper index', name, table: LINES, logBytes: 0 },
    ])
    return name
  }

  test('is named by status, and removed by abandon --leftovers', async ({ database }) => {
    const name = await leftBehind(database)
    expect(describeStatus(await status(database.url, quietly()), [], 'ebb').join('\n')).toContain(
      `the index ${name} of public.order_lines was to help a purge, and is of no known run`,
    )
    await removeLeftovers(database.url, quietly())
    expect(await helpersOf(database)).toEqual([])
  })

  test('is used, and dropped, by the next purge, which need not build one', async ({ database }) => {
    await leftBehind(database)
    const { steps } = await persevere(() => purgeRows(database, ORDERS, purgeRequest('id <= 300', { cascade: true })))
    expect(steps.map(({ key }) => key.replace(/[0-9a-f]{8}$/, '…'))).toEqual([
      'purge',
      'check',
      'drop public.order_lines_ebb_helper_1_…',
    ])
    await expectPurged(database)
  })
})

test('a table that has one is not rebuilt meanwhile, so that the index is in no copy of it', async ({ database }) => {
  await orders(database)
  const app = await database.session('app')
  await app.query('begin; select from orders where id = 1 for update')
  const purging = purgeRows(database, ORDERS, REQUEST)
  const isBuilt = `select from pg_index where indisvalid and indexrelid::regclass::text ~ '_ebb_helper_'`
  await until(async () => (await database.admin(isBuilt)).rowCount === 1)
  await expect(rebuild(database.url, written(LINES), rebuildRequest(), quietly())).rejects.toThrow(
    /^ebb purge .* is running on public.order_lines$/,
  )
  await app.query('commit')
  await purging
  await expectPurged(database)
})
