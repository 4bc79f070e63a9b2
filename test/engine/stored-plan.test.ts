import { describe, expect } from 'vitest'
import { readServer } from '../../src/catalog/server-model.ts'
import { withSession, type Session } from '../../src/db/session.ts'
import { inSnapshot } from '../../src/db/transaction.ts'
import type { AnyCommand } from '../../src/engine/command.ts'
import { commandOf } from '../../src/engine/commands/registry.ts'
import type { EngineOptions } from '../../src/engine/options.ts'
import { abandon, planResumeOf, resume, retire, rollback, status } from '../../src/engine/runs/runs.ts'
import { digestOf, FORMAT } from '../../src/engine/stored-plan.ts'
import { runById, type Run } from '../../src/journal/journal.ts'
import type { Plan } from '../../src/plan/language/step.ts'
import { fromStored, toStored } from '../../src/plan/language/stored.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { literal, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { createEvents } from '../support/events-table.ts'
import { markRequest, purgeRequest } from '../support/purging.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { failureOf } from '../support/visits.ts'
import { splitOrder } from './split-support.ts'
import {
  keepView,
  mark,
  partition,
  partitionByCopy,
  purge,
  rebuild,
  split,
  writeCandidates,
} from '../support/commands.ts'

// A plan that was stored is data. Whoever can write to the journal must not by that be able to run SQL as those who
// go on with its runs; so each piece of text in it is put to the test, one after the other.

/** Starts a run, and stops it where the options say. */
type Start = (database: Database, events: TableName, options: EngineOptions) => Promise<unknown>

const DAYS_90 = { count: 90, unit: 'day' } as const
const OLD = "created_at < now() - interval '200 days' and kind in ('click', 'marked')"

const COMMANDS: Record<string, Start> = {
  purge: (database, events, options) =>
    purge(database.url, written(events), purgeRequest(OLD, { cascade: true }), options),
  mark: (database, events, options) =>
    mark(database.url, written(events), markRequest(OLD, 'deleted_at', { vacuum: true }), options),
  candidates: (database, events, options) => writeCandidates(database.url, written(events), { where: OLD }, options),
  view: (database, events, options) =>
    keepView(
      database.url,
      written(events),
      { name: null, hideMarked: 'deleted_at', expired: OLD, keep: null },
      options,
    ),
  rebuild: (database, events, options) =>
    rebuild(database.url, written(events), rebuildRequest({ keep: `not (${OLD})` }), options),
  partition: (database, events, options) => partition(database.url, written(events), monthly(), options),
  'partition-copy': (database, events, options) =>
    partitionByCopy(
      database.url,
      written(events),
      { ...monthly(), transport: 'server', jobs: 1, noArchive: true, retireAfter: null },
      options,
    ),
  split: async (database, events, options) => {
    if (!(await isPartitioned(database, events))) await partition(database.url, written(events), monthly(), quietly())
    return split(database.url, written(events), splitOrder({ keep: DAYS_90, noArchive: true }), options)
  },
  rollback: async (database, events, options) => {
    if (!(await isPartitioned(database, events))) await partition(database.url, written(events), monthly(), quietly())
    return rollback(database.url, { table: events }, options)
  },
}

const EVIL = `x'"); create table public.tampered (); --`

describe('no text of a stored plan is executed', () => {
  test.for(Object.entries(COMMANDS))('by %s', async ([name, start], { database }) => {
    const events = await tables(database, name)
    let run = await begun(database, events, start)
    expect(run).toMatchObject({ command: name, format: FORMAT })
    expect(
      (fromStored(run.plan) as Plan).steps.flatMap(({ statements }) => statements),
      'nothing to be run is there',
    ).toEqual([])

    const options = quietly()
    const command = commandOf(run)
    const paths = pathsOf(run.situation)
    const accepted = await acceptedOf(database, command, run, paths)
    expect(paths.length).toBeGreaterThan(5)
    expect(accepted.length, 'most is not accepted').toBeLessThan(paths.length / 2)
    // That is no text of the catalogue, or never becomes SQL but in quotes: so it is carried out, some alone and then all.
    for (const some of [...chosenFrom(accepted), accepted]) {
      await store(
        database,
        run,
        command,
        some.reduce((now, path) => replaced(now, path, EVIL), run.situation),
      )
      await resume(database.url, { runId: run.id }, options).catch(() => {})
      expect(await tamperedWith(database), some.join(' ')).toBe(false)
      run = await begunAgain(database, events, start, run)
    }
  })

  test.for(Object.entries(COMMANDS))('nor text of the request, by %s', async ([name, start], { database }) => {
    const events = await tables(database, name)
    let run = await begun(database, events, start)
    for (const path of pathsOf(run.request)) {
      await database.admin(
        sql`update ebb.run set request = ${JSON.stringify(replaced(run.request, path, EVIL))} where id = ${run.id}`,
      )
      await resume(database.url, { runId: run.id }, quietly()).catch(() => {})
      expect(await tamperedWith(database), path.join('.')).toBe(false)
      run = await begunAgain(database, events, start, run)
    }
  })

  test('a condition with side effects is refused', async ({ database }) => {
    const events = await tables(database, 'purge')
    const start = COMMANDS['purge'] as Start
    const run = await begun(database, events, start)
    const condition = `query_to_xml('create table public.tampered ()', true, true, '') is null`
    await database.admin(
      sql`update ebb.run set request = jsonb_set(request, '{rows,where}', ${JSON.stringify(condition)}) where id = ${run.id}`,
    )
    await database.admin(
      sql`update ebb.run set situation = jsonb_set(jsonb_set(situation, '{predicate,text}', ${JSON.stringify(condition)}), '{predicate,written}', ${JSON.stringify(condition)}) where id = ${run.id}`,
    )
    const now = await reread(database, run.id)
    await store(database, now, commandOf(now), now.situation)
    expect(await failureOf(resume(database.url, { runId: run.id }, quietly()))).toMatchObject({
      message: expect.stringMatching(/calls query_to_xml\(\), which may have side effects/) as string,
    })
    expect(await tamperedWith(database)).toBe(false)
  })

  test('after the swap the remaining statements must be plain', async ({ database }) => {
    const events = await tables(database)
    const run = await begun(database, events, COMMANDS['partition'] as Start, 'runway')
    const tampered = replaced(
      run.situation,
      ['table', 'options'],
      [`fillfactor=90); create table public.tampered (); --`],
    )
    await store(database, run, commandOf(run), tampered)
    await expect(resume(database.url, { runId: run.id }, quietly())).rejects.toThrow(
      /would do more than what is left of the plan/,
    )
    expect(await tamperedWith(database)).toBe(false)

    await store(database, run, commandOf(run), run.situation)
    await resume(database.url, { runId: run.id }, quietly())
  })
})

test.for([
  ['partition', 'runway'],
  ['rebuild', 'validate'],
  ['partition-copy', 'validate'],
  ['split', 'release'],
])('%s is resumed after its swap, from %s on', async ([name = '', step = ''], { database }) => {
  const events = await tables(database, name)
  const run = await begun(database, events, COMMANDS[name] as Start, step)
  expect(await stepsOf(database, run.id)).toBeGreaterThan(2)
  await resume(database.url, { runId: run.id }, quietly())
  expect((await reread(database, run.id)).status).toBe('done')
})

describe('a run is not resumed', () => {
  const start = COMMANDS['rebuild'] as Start

  test('from a version with another command, but status lists it', async ({ database }) => {
    const events = await tables(database)
    const run = await begun(database, events, COMMANDS['partition'] as Start)
    await database.admin(`update ebb.run set command = 'compact'`)
    const { runs } = await status(database.url, quietly())
    expect(runs).toMatchObject([{ id: run.id, command: 'compact', refusesFrom: null }])
    for (const act of [resume, abandon])
      expect(await failureOf(act(database.url, { runId: run.id }, quietly()))).toMatchObject({
        kind: 'objections',
        message: expect.stringMatching(/was started by another version/) as string,
      })
  })

  test('in an unknown format, and a newer one is distinguished from an older', async ({ database }) => {
    const events = await tables(database)
    const run = await begun(database, events, start)
    await database.admin(`update ebb.run set format = ${FORMAT + 1}`)
    const newer = await failureOf(resume(database.url, { runId: run.id }, quietly()))
    expect(newer).toMatchObject({
      kind: 'objections',
      advice: { next: expect.stringMatching(/Use the version that started it/) as string },
    })
    expect(await failureOf(planResumeOf(database.url, { runId: run.id }, quietly()))).toEqual(newer)
    expect(await failureOf(start(database, events, quietly()))).toEqual(newer)
    expect((await status(database.url, quietly())).runs).toMatchObject([{ status: 'running' }])
  })

  test('whose steps this version would plan otherwise', async ({ database }) => {
    const events = await tables(database)
    const run = await begun(database, events, start)
    await database.admin(`update ebb.run set digest = 'other'`)
    await expect(resume(database.url, { runId: run.id }, quietly())).rejects.toThrow(/would plan other steps for run/)
    await abandon(database.url, { runId: run.id }, quietly())
    await start(database, events, quietly())
  })
})

describe('a run of an earlier version, with stored SQL,', () => {
  test.for(Object.entries(COMMANDS))(
    'is listed, not resumed, and can be ended: %s',
    async ([name, start], { database }) => {
      const events = await tables(database, name)
      const run = await begun(database, events, start)
      await asStoredBefore(database, run)

      expect((await status(database.url, quietly())).runs[0]).toMatchObject({ command: name, status: 'running' })
      const refused = await failureOf(resume(database.url, { runId: run.id }, quietly()))
      expect(refused).toMatchObject({
        message: expect.stringContaining(`is stored in format 1; this version executes format ${FORMAT}`) as string,
        advice: { next: expect.stringMatching(/End it with ebb abandon/) as string },
      })
      expect(await failureOf(start(database, events, quietly()))).toEqual(refused)
      await abandon(database.url, { runId: run.id }, quietly())
      expect((await status(database.url, quietly())).runs[0]).toMatchObject({ status: 'abandoned' })
      await start(database, events, quietly())
      expect(await tamperedWith(database)).toBe(false)
    },
  )

  test('is done once the tables have been swapped, and can be rolled back', async ({ database }) => {
    const events = await tables(database)
    const run = await begun(database, events, COMMANDS['rebuild'] as Start, 'release')
    await asStoredBefore(database, run)
    await expect(resume(database.url, { runId: run.id }, quietly())).rejects.toThrow(/is stored in format 1/)
    const { plan } = await abandon(database.url, { runId: run.id }, quietly())
    expect(plan.evidence).toContain('not done: drop the log of the copy')
    expect((await status(database.url, quietly())).runs[0]).toMatchObject({ status: 'done' })
    await rollback(database.url, { runId: run.id }, quietly())
    expect(await tamperedWith(database)).toBe(false)
  })
})

/** `events` with what hangs on it, a column for a mark, rows of another table that go with it, a few indexes. */
async function tables(database: Database, name = ''): Promise<TableName> {
  const { events } = await createEvents(database, { rows: 300 })
  const owner = await database.session('setup')
  await owner.query(
    sql`alter table ${quoted(events)} add column deleted_at timestamptz, add column amount numeric(10, 2)`.text,
  )
  await owner.query(sql`alter table ${quoted(events)} set (fillfactor = 90)`.text)
  await owner.query(sql`create index on ${quoted(events)} (created_at, (lower(kind))) where amount is null`.text)
  if (name === 'purge') await owner.query(sql`drop rule "No deletes. At all" on ${quoted(events)}`.text)
  if (name === 'purge' || name === 'rebuild') {
    const about = database.table('about events')
    await owner.query(
      sql`create table ${quoted(about)} (event_id bigint references ${quoted(events)}, "some text" varchar(20))`.text,
    )
    await owner.query(sql`create index on ${quoted(about)} (event_id)`.text)
  }
  await owner.query(sql`create table saved as select * from ${quoted(events)}`.text)
  await owner.query(sql`analyze ${quoted(events)}`.text)
  return events
}

/** A few, each alone: with all of them it would take very long. */
function chosenFrom(paths: readonly Path[]): Path[][] {
  return paths.filter((_, i) => i % Math.ceil(paths.length / 2) === 0).map((path) => [path])
}

/** Stopped before its first step, or before one whose key begins so. */
async function begun(database: Database, events: TableName, start: Start, before = ''): Promise<Run> {
  const stop = new AbortController()
  const options = quietly({
    signal: stop.signal,
    observer: (event) => {
      if (event.type === 'step started' && event.step.key.startsWith(before)) stop.abort()
    },
  })
  const failure = await failureOf(start(database, events, options))
  expect(failure, failure.message).toMatchObject({ kind: 'stopped' })
  return latest(database)
}

/** The rows that have gone are there again. */
async function restore(database: Database, events: TableName): Promise<void> {
  const { rows } = await database.admin<{ columns: string }>(
    `select string_agg(quote_ident(attname), ', ') as columns from pg_attribute
     where attrelid = ${literal(quoted(events).text).text}::regclass and attnum > 0 and not attisdropped and attgenerated = ''`,
  )
  const columns = rows[0]?.columns ?? ''
  await database.admin(
    `insert into ${quoted(events).text} (${columns}) select ${columns} from saved on conflict do nothing`,
  )
}

/** The same run as it was, or another one, if it could be gone on with after all. */
async function begunAgain(database: Database, events: TableName, start: Start, run: Run): Promise<Run> {
  const now = await reread(database, run.id)
  if (now.status === 'running' && (await stepsOf(database, run.id)) === 0) {
    await database.admin(
      sql`update ebb.run set request = ${JSON.stringify(run.request)}, situation = ${JSON.stringify(run.situation)}, digest = ${run.digest} where id = ${run.id}`,
    )
    return run
  }
  if (now.status === 'running') await abandon(database.url, { runId: run.id }, quietly())
  await restore(database, events)
  await database.admin(sql`update ${quoted(events)} set deleted_at = null where deleted_at is not null`.text)
  const isBack = run.command === 'rollback' || run.command === 'split' || (await isPartitioned(database, events))
  if (isBack && run.command !== 'rollback') await rollback(database.url, { table: events }, quietly()).catch(() => {})
  if (run.command === 'rebuild' && now.status === 'done') await retire(database.url, { runId: run.id }, quietly())
  return begun(database, events, start)
}

/** As the release before would have stored it, in a journal that it has made; with a statement put into each step. */
async function asStoredBefore(database: Database, run: Run): Promise<void> {
  const command = commandOf(run)
  const plan = command.plan(fromStored(run.situation), fromStored(run.request))
  const steps = plan.steps.map((step) => ({ ...step, statements: ['create table if not exists public.tampered ()'] }))
  const stored = JSON.stringify(toStored({ ...plan, steps })).replaceAll('"original":', '"former":')
  const { rows, ...request } = run.request as { rows?: object }
  await database.admin(
    sql`update ebb.run set plan = ${stored}, request = ${JSON.stringify({ ...rows, ...request })} where id = ${run.id}`,
  )
  await database.admin(
    `alter table ebb.run drop column format, drop column situation, drop column digest, drop column steps, drop column source_oid,
       drop column retired_schema, drop column retired_name, drop column retire_after; delete from ebb.migration where name in ('010-plan-format.sql', '014-original.sql')`,
  )
}

async function store(database: Database, run: Run, command: AnyCommand, situation: unknown): Promise<void> {
  const digest = digestOf(command.plan(fromStored(situation), fromStored(run.request)).steps)
  await database.admin(
    sql`update ebb.run set situation = ${JSON.stringify(situation)}, digest = ${digest} where id = ${run.id}`,
  )
}

/** The paths at which a text is accepted as it is, before anything is carried out. */
async function acceptedOf(
  database: Database,
  command: AnyCommand,
  run: Run,
  paths: readonly Path[],
): Promise<readonly Path[]> {
  return withSession(database.url, 'verify', async (session) => {
    const server = await readServer(session, 'ebb')
    const planning = { session: remembering(session), server, options: { journalSchema: 'ebb' } }
    const accepted: Path[] = []
    const verify = async (situation: unknown) => {
      command.plan(fromStored(situation), fromStored(run.request))
      await command.verify(planning, run.table, fromStored(situation), fromStored(run.request))
    }
    await inSnapshot(session, async () => {
      await verify(run.situation) // as it was stored it must be accepted
      for (const path of paths) {
        await session.query('savepoint before_it')
        const isAccepted = await verify(replaced(run.situation, path, EVIL)).then(
          () => true,
          () => false,
        )
        await session.query('rollback to before_it')
        if (isAccepted) accepted.push(path)
      }
    })
    return accepted
  })
}

/** The session, which asks each question about the one snapshot once. */
function remembering(session: Session): Session {
  const known = new Map<string, unknown>()
  const ask = session.query.bind(session) as unknown as (...given: unknown[]) => Promise<unknown>
  const query = async (...given: unknown[]) => {
    const key = JSON.stringify(given)
    if (known.has(key)) return known.get(key)
    const result = await ask(...given)
    if (/^\s*(?:select|with)\b(?!.*set_config)/is.test(textOf(given[0]))) known.set(key, result)
    return result
  }
  return new Proxy(session, {
    get: (target, name) => (name === 'query' ? query : Reflect.get(target, name)) as unknown,
  })
}

function textOf(query: unknown): string {
  return typeof query === 'string' ? query : (query as { readonly text: string }).text
}

async function reread(database: Database, id: string): Promise<Run> {
  return withSession(database.url, 'look', async (session: Session) => {
    const run = await runById(session, 'ebb', id)
    if (run === undefined) throw new Error('no run')
    return run
  })
}

async function latest(database: Database): Promise<Run> {
  const { rows } = await database.admin<{ id: string }>('select max(id)::text as id from ebb.run')
  return reread(database, rows[0]?.id ?? '')
}

async function stepsOf(database: Database, id: string): Promise<number> {
  return (await database.admin(sql`select from ebb.step where run_id = ${id}`)).rowCount ?? 0
}

async function tamperedWith(database: Database): Promise<boolean> {
  const { rowCount } = await database.admin(`select from pg_class where relname = 'tampered'`)
  return rowCount !== 0
}

async function isPartitioned(database: Database, { schema, name }: TableName): Promise<boolean> {
  const { rowCount } = await database.admin(
    sql`select from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = ${schema} and c.relname = ${name} and relkind = 'p'`,
  )
  return rowCount === 1
}

type Path = readonly string[]

/** Where the texts are: one for each field, whatever its place in a list. */
function pathsOf(value: unknown): Path[] {
  const found = new Map<string, Path>()
  const visit = (inner: unknown, path: Path): void => {
    const field = path.filter((part) => !/^\d+$/.test(part)).join('.')
    if (typeof inner === 'string' && !found.has(field)) found.set(field, path)
    if (typeof inner === 'object' && inner !== null)
      for (const [key, next] of Object.entries(inner)) visit(next, [...path, key])
  }
  visit(value, [])
  return [...found.values()]
}

function replaced(value: unknown, [first, ...rest]: Path, text: unknown): unknown {
  if (first === undefined) return text
  if (Array.isArray(value))
    return value.map((inner: unknown, i) => (String(i) === first ? replaced(inner, rest, text) : inner))
  const object = value as Record<string, unknown>
  return { ...object, [first]: replaced(object[first], rest, text) }
}
