import type pg from 'pg'
import { describe, expect } from 'vitest'
import { abandon, planAbandonOf, planResumeOf, resume, rollback, status } from '../../src/engine/runs/runs.ts'
import { EbbError } from '../../src/errors.ts'
import { compareFacts, factsOf } from '../../src/plan/table/facts.ts'
import { companion, quoted, type TableName } from '../../src/sql/names.ts'
import { ident, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { createEvents } from '../support/events-table.ts'
import { startStandby } from '../support/standby.ts'
import { modelOf, monthly, quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { failureOf } from '../support/visits.ts'
import { partition, purge } from '../support/commands.ts'
import { purgeRequest } from '../support/purging.ts'

// What is done with runs that exist: go on, undo, go back; and what somebody else did meanwhile.

const ROWS = 500

describe('changes by another session between the plan and the swap', () => {
  const CHANGES: readonly [string, (table: string, role: string) => string, RegExp][] = [
    ['a column', (table) => `alter table ${table} add column extra int`, /column extra is new/],
    ['another type', (table) => `alter table ${table} alter column token type varchar(80)`, /column token/],
    ['an index', (table) => `create index extra on ${table} (token)`, /index extra/],
    ['a grant', (table, role) => `grant delete on ${table} to ${role}`, /grant DELETE/],
    ['a default', (table) => `alter table ${table} alter column kind set default 'x'`, /column kind/],
    ['a constraint', (table) => `alter table ${table} add constraint extra check (id > 0)`, /constraint extra/],
    ['a comment', (table) => `comment on table ${table} is 'other'`, /comment/],
    ['row-level security', (table) => `alter table ${table} enable row level security`, /row-level security/],
  ]

  test.for(CHANGES)('%s stops it, and nothing is lost', async ([_, change, named], { database }) => {
    const { events, reader } = await createEvents(database, { rows: ROWS })
    const owner = await database.session('owner')

    const failure = await changedBefore(database, events, 'swap', async () => {
      await owner.query(change(quoted(events).text, ident(reader).text))
    })

    expect(failure).toMatchObject({
      kind: 'failed',
      message: expect.stringMatching(/has changed since the plan was made/) as string,
    })
    expect(failure.message).toMatch(named)
    expect(failure.advice.next).toMatch(/ebb abandon/)
    const changed = await modelOf(database, events)
    expect(changed.kind).toBe('table')
    await abandon(database.url, { table: events }, quietly())
    expect(await checksOf(database, events)).toEqual([
      'kind known',
      ...(change('', '').includes('constraint extra') ? ['extra'] : []),
    ])
    // The new plan takes the change into account.
    await partition(database.url, written(events), monthly(), quietly())
    expect((await owner.query(sql`select from ${quoted(events)}`)).rowCount).toBe(ROWS)
  })

  test('a row beyond the bound, written before the CHECK, stops the validation if no index shows it', async ({
    database,
  }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const owner = await database.session('owner')
    await owner.query('drop index public.events_created_at_idx')
    const before = await modelOf(database, events)

    const failure = await changedBefore(database, events, 'guard', async () => {
      await owner.query(
        sql`insert into ${quoted(events)} (user_id, kind, created_at) values (1, 'late', now() + interval '9 years')`,
      )
    })

    expect(failure.message).toMatch(/validate the CHECK: check constraint .* is violated by some row/)
    expect(failure.advice.next).toMatch(/Some rows of .* are beyond the bound.*ebb abandon/)
    await abandon(database.url, { table: events }, quietly())
    expect(compareFacts(factsOf(before), factsOf(await modelOf(database, events)))).toEqual([])
    await expect(partition(database.url, written(events), monthly(), quietly())).rejects.toMatchObject({
      kind: 'objections',
    })
  })

  test('a row beyond the bound, written before the CHECK, is an objection if an index shows it', async ({
    database,
  }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const before = await modelOf(database, events)
    const owner = await database.session('owner')

    const failure = await changedBefore(database, events, 'guard', async () => {
      await owner.query(
        sql`insert into ${quoted(events)} (user_id, kind, created_at) values (1, 'late', now() + interval '9 years')`,
      )
    })

    expect(failure).toMatchObject({ kind: 'objections' })
    expect(failure.message).toMatch(/further ahead than the runway is to be/)
    expect(compareFacts(factsOf(before), factsOf(await modelOf(database, events)))).toEqual([])
  })

  test('a row beyond the bound, written after the CHECK, is an error of the writer', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const before = await modelOf(database, events)
    const owner = await database.session('owner')
    const late = sql`insert into ${quoted(events)} (user_id, kind, created_at) values (1, 'late', now() + interval '9 years')`

    let refused: unknown
    await changedBefore(database, events, 'swap', async () => {
      refused = await owner.query(late).catch((error: unknown) => error)
      await owner.query(sql`alter table ${quoted(events)} add column extra int`)
    })

    expect(refused).toMatchObject({ code: '23514' })
    await abandon(database.url, { table: events }, quietly())
    await owner.query(late)
    await owner.query(sql`alter table ${quoted(events)} drop column extra`)
    expect(compareFacts(factsOf(before), factsOf(await modelOf(database, events)))).toEqual([])
  })

  test('dropping the table leaves a run that can be abandoned', async ({ database }) => {
    const { events, view, viewOnView, atomicFunction } = await createEvents(database, { rows: ROWS })
    const owner = await database.session('owner')
    const failure = await changedBefore(database, events, 'validate-guard', async () => {
      await owner.query(sql`drop view ${quoted(viewOnView)}, ${quoted(view)}`)
      await owner.query(sql`drop function ${quoted(atomicFunction)}`)
      await owner.query(sql`drop table ${quoted(events)}`)
    })
    expect(failure).toBeInstanceOf(EbbError)

    const { steps } = await planAbandonOf(database.url, { table: events }, quietly())
    await abandon(database.url, { table: events }, quietly())

    expect(steps.map(({ kind }) => kind)).toEqual(['drop index'])
    expect((await status(database.url, quietly())).runs.map((run) => run.status)).toEqual(['abandoned'])
  })

  test('renaming the table does not keep its CHECK from being found', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const owner = await database.session('owner')
    const renamed = { schema: events.schema, name: 'renamed' }
    await changedBefore(database, events, 'swap', async () => {
      await owner.query(sql`alter table ${quoted(events)} rename to ${ident(renamed.name)}`)
    })
    expect(await checksOf(database, renamed)).toHaveLength(2)

    await abandon(database.url, { table: events }, quietly())

    expect(await checksOf(database, renamed)).toEqual(['kind known'])
    expect((await modelOf(database, renamed)).indexes.filter(({ name }) => /history/.test(name))).toEqual([])
  })
})

describe('a stopped run', () => {
  test('reports it at each step, and resumes from there', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const keys = new Set<string>()
    for (;;) {
      const stop = new AbortController()
      const options = quietly({
        signal: stop.signal,
        observer: (event) => {
          if (event.type !== 'step finished') return
          keys.add(event.step.key)
          stop.abort()
        },
      })
      const outcome = await partition(database.url, written(events), monthly(), options).catch(
        (error: unknown) => error,
      )
      if (!(outcome instanceof Error)) break
      expect(outcome).toMatchObject({ kind: 'stopped' })
      if (keys.size > 20) throw new Error('it does not get on')
    }

    expect((await modelOf(database, events)).kind).toBe('partitioned table')
    expect((await partition(database.url, written(events), monthly(), quietly())).nothingToDo).toBe(true)
  })

  test('stops at once while waiting for a lock', async ({ database, judgeTimes }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const holder = await database.session('holder')
    await holder.query('begin')
    await holder.query(sql`insert into ${quoted(events)} (user_id, kind) values (1, 'open')`)
    const stop = new AbortController()
    let stoppedAt = 0
    const options = quietly({
      signal: stop.signal,
      observer: (event) => {
        if (event.type !== 'waiting' || stop.signal.aborted) return
        stoppedAt = performance.now()
        stop.abort()
      },
    })

    await expect(partition(database.url, written(events), monthly(), options)).rejects.toMatchObject({
      kind: 'stopped',
    })

    const stoppedInMs = performance.now() - stoppedAt
    await holder.query('commit')
    await partition(database.url, written(events), monthly(), quietly())
    await judgeTimes(() => expect(stoppedInMs).toBeLessThan(1_500))
  })

  test('records the reason in the journal', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const owner = await database.session('owner')
    await changedBefore(database, events, 'swap', async () => {
      await owner.query(sql`alter table ${quoted(events)} add column extra int`)
    })

    const { runs } = await status(database.url, quietly())

    expect(runs).toMatchObject([
      { status: 'running', lastError: expect.stringMatching(/has changed since the plan/) as string },
    ])
  })

  test('is not confused with a run with other options', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    await changedBefore(database, events, 'guard', async () => {
      throw new Error('stop')
    }).catch(() => undefined)

    await expect(partition(database.url, written(events), monthly({ premake: 7 }), quietly())).rejects.toMatchObject({
      message: expect.stringMatching(/is unfinished, and was started with other settings/) as string,
      kind: 'objections',
    })
    await expect(purge(database.url, written(events), purgeRequest('id = 1'), quietly())).rejects.toMatchObject({
      message: expect.stringMatching(/is unfinished$/) as string,
      kind: 'objections',
    })
  })

  test('cannot be abandoned or resumed once it is done', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    await partition(database.url, written(events), monthly(), quietly())

    await expect(abandon(database.url, { table: events }, quietly())).rejects.toMatchObject({ kind: 'usage' })
    await expect(resume(database.url, { table: events }, quietly())).rejects.toMatchObject({ kind: 'usage' })
    await expect(abandon(database.url, null, quietly())).rejects.toThrow(/no unfinished run/)

    // A later run of the table makes no difference to that.
    await rollback(database.url, { table: events }, quietly())
    await partition(database.url, written(events), monthly(), quietly())
    const first = await failureOf(abandon(database.url, { runId: '1' }, quietly()))
    expect(first.message).toMatch(/^run 1 is .*, so there is nothing to abandon$/)
  })

  test('is neither resumed nor undone on a replica', async ({ ownServer }) => {
    const { server, database } = await ownServer()
    const { events } = await createEvents(database, { rows: ROWS })
    const signal = AbortSignal.abort()
    await failureOf(partition(database.url, written(events), monthly(), quietly({ signal })))
    const standby = await startStandby(server)
    const url = database.url.replace(`:${server.port}/`, `:${standby.port}/`)
    await until(() => status(url, quietly()).then(({ runs }) => runs.length > 0))
    for (const act of [resume, abandon]) {
      const failure = await failureOf(act(url, { runId: '1' }, quietly()))
      expect(failure).toMatchObject({ message: 'this server is a replica', kind: 'objections' })
    }
  })

  test('is selected and refused alike for resuming and for showing the plan', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const { runId } = await partition(database.url, written(events), monthly(), quietly())

    for (const choice of [null, { runId }, { table: events }, { runId: '999' }]) {
      const refused = await resume(database.url, choice, quietly()).catch((error: unknown) => error)
      expect(refused).toBeInstanceOf(EbbError)
      await expect(planResumeOf(database.url, choice, quietly())).rejects.toEqual(refused)
    }
  })
})

describe('a rollback', () => {
  test('drops no partition created since it was planned', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const { runId } = await partition(database.url, written(events), monthly(), quietly())
    const owner = await database.session('owner')
    const far = { schema: events.schema, name: companion(events.name, '_far') }

    const failure = await changedUnderway(
      owner,
      events,
      'swap-back',
      async (options) => rollback(database.url, { runId }, options),
      async () => {
        await owner.query(
          sql`create table ${quoted(far)} partition of ${quoted(events)} for values from ('2090-01-01') to ('2091-01-01')`
            .text,
        )
        await owner.query(
          sql`insert into ${quoted(events)} (user_id, kind, created_at) values (1, 'far', '2090-06-01')`,
        )
      },
    )

    expect(failure.message).toMatch(/has changed since the plan was made: partition .*_far/)
    expect((await owner.query(sql`select from ${quoted(far)}`)).rowCount).toBe(1)
    await abandon(database.url, { table: events }, quietly())
    await expect(rollback(database.url, { runId }, quietly())).rejects.toThrow(
      /rows have been written to other partitions/,
    )
  })

  test('loses no row written to another partition meanwhile', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const { runId } = await partition(database.url, written(events), monthly(), quietly())
    const owner = await database.session('owner')

    const failure = await changedUnderway(
      owner,
      events,
      'swap-back',
      async (options) => rollback(database.url, { runId }, options),
      async () => {
        await owner.query(
          sql`insert into ${quoted(events)} (user_id, kind, created_at) values (1, 'next', date_trunc('month', now()) + interval '70 days')`,
        )
      },
    )

    expect(failure.message).toMatch(/rows were written to .* meanwhile and would be lost/)
    expect((await owner.query(sql`select from ${quoted(events)}`)).rowCount).toBe(ROWS + 1)
  })

  test('that is resumed is planned again, with the same result required', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const { runId } = await partition(database.url, written(events), monthly(), quietly())
    const owner = await database.session('owner')
    const failure = await stoppedBefore(
      'swap-back',
      async (options) => rollback(database.url, { runId }, options),
      async () => {
        await owner.query(
          sql`insert into ${quoted(events)} (user_id, kind, created_at) values (1, 'next', date_trunc('month', now()) + interval '70 days')`,
        )
      },
    )
    expect(failure.message).toMatch(/has changed since the plan was made: rows have been written to other partitions/)
  })

  test('keeps referencing rows', async ({ database }) => {
    const { events } = await createEvents(database, { rows: ROWS })
    const notes = database.table('notes')
    const owner = await database.session('owner')
    await owner.query(sql`create table ${quoted(notes)} (event_id bigint references ${quoted(events)} (id))`)
    await owner.query(sql`insert into ${quoted(notes)} select id from ${quoted(events)} limit 10`)
    const before = await modelOf(database, events)
    const { runId } = await partition(
      database.url,
      written(events),
      monthly({ by: 'id', every: { kind: 'ids', ids: 10_000n }, expireBy: 'created_at' }),
      quietly(),
    )

    await rollback(database.url, { runId }, quietly())

    const after = await modelOf(database, events)
    expect(compareFacts(factsOf(before), factsOf(after))).toEqual([])
    expect(after.inboundForeignKeys.map(({ validated }) => validated)).toEqual([true])
    expect((await owner.query(sql`select from ${quoted(notes)}`)).rowCount).toBe(10)
  })

  test('keeps a deferrable primary key deferrable, in both directions', async ({ database }) => {
    const table = database.table('log')
    const owner = await database.session('owner')
    await owner.query(
      sql`create table ${quoted(table)} (id int primary key deferrable initially deferred, created_at timestamptz not null)`,
    )
    await owner.query(sql`insert into ${quoted(table)} select n, '2026-01-01' from generate_series(1, 10) n`)
    const before = await modelOf(database, table)
    const exchange = async () => {
      await owner.query('begin')
      await owner.query(sql`insert into ${quoted(table)} select * from ${quoted(table)} where id = 1`)
      await owner.query(sql`delete from ${quoted(table)} where id = 1`)
      await owner.query(sql`insert into ${quoted(table)} values (1, '2026-01-01')`)
      await owner.query('commit')
    }
    await exchange()

    const { runId } = await partition(database.url, written(table), monthly(), quietly())
    await exchange()
    await rollback(database.url, { runId }, quietly())

    await exchange()
    expect(compareFacts(factsOf(before), factsOf(await modelOf(database, table)))).toEqual([])
  })
})

/** Converts, and has something done just before the step begins; returns the error that came of it. */
async function changedBefore(
  database: Database,
  events: TableName,
  key: string,
  change: () => Promise<void>,
): Promise<EbbError> {
  return stoppedBefore(key, async (options) => partition(database.url, written(events), monthly(), options), change)
}

async function stoppedBefore(
  key: string,
  command: (options: ReturnType<typeof quietly>) => Promise<unknown>,
  change: () => Promise<void>,
): Promise<EbbError> {
  await stopBefore(key, command)
  await change()
  const outcome = await command(quietly()).catch((error: unknown) => error)
  if (!(outcome instanceof EbbError)) throw new Error(`it went through, or worse: ${String(outcome)}`)
  return outcome
}

async function stopBefore(
  key: string,
  command: (options: ReturnType<typeof quietly>) => Promise<unknown>,
): Promise<void> {
  const stop = new AbortController()
  const stopped = await command(
    quietly({
      signal: stop.signal,
      observer: (event) => {
        if (event.type === 'step started' && event.step.key === key) stop.abort()
      },
    }),
  ).catch((error: unknown) => error)
  expect(stopped).toMatchObject({ kind: 'stopped' })
}

/** As above, but it has gone on already, and waits for the table, when the change comes. */
async function changedUnderway(
  holder: pg.Client,
  table: TableName,
  key: string,
  command: (options: ReturnType<typeof quietly>) => Promise<unknown>,
  change: () => Promise<void>,
): Promise<EbbError> {
  await stopBefore(key, command)
  await holder.query('begin')
  await holder.query(sql`lock table ${quoted(table)} in access share mode`)
  const options = quietly()
  const running = failureOf(command(options))
  await until(() => options.events.some(({ type }) => type === 'waiting'))
  await change()
  await holder.query('commit')
  return running
}

async function checksOf(database: Database, table: TableName): Promise<string[]> {
  const { constraints } = await modelOf(database, table)
  return constraints
    .filter(({ type }) => type === 'check')
    .map(({ name }) => name)
    .toSorted()
    .toReversed()
}
