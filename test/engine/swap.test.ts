import { expect } from 'vitest'
import { readTable } from '../../src/catalog/table/read-table.ts'
import { readServer } from '../../src/catalog/server-model.ts'
import { withSession } from '../../src/db/session.ts'
import { inSnapshot } from '../../src/db/transaction.ts'
import { partition as command } from '../../src/engine/commands/partition.ts'
import { runIn, withTable } from '../../src/engine/table-context.ts'
import { startRun } from '../../src/journal/journal.ts'
import { factsOf } from '../../src/plan/table/facts.ts'
import type { PartitionPlan } from '../../src/plan/partition/partition.ts'
import type { SwapStep } from '../../src/plan/language/step.ts'
import { toStored } from '../../src/plan/language/stored.ts'
import { ident, sql } from '../../src/sql/sql.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { test, type Database } from '../support/database.ts'
import { createEvents } from '../support/events-table.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { partition, planPartitionOf } from '../support/commands.ts'

// The comparison inside the swap is the last line of defence: each of these
// takes one thing out of the swap's script and expects that nothing happens at all.
test.for([
  ['a grant', /^grant select/, /grant SELECT/],
  ['a policy', /^create policy "may/, /policy may write/],
  ['row-level security', /enable row level security/, /row-level security/],
  ['a trigger', /^CREATE TRIGGER sleeping|disable.*trigger "sleeping"/, /trigger sleeping/],
  ['the state of a trigger', /disable.*trigger "sleeping"/, /trigger sleeping/],
  ['an index', /^CREATE INDEX "Kind idx"|"Kind idx"'? is 'by/, /index Kind idx/],
  ['a foreign key', /add constraint ".*fkey"/, /constraint .*fkey/],
  ['a statistics target', /alter column "kind" set statistics/, /column kind/],
  ['a comment', /^comment on table/, /comment would change/],
  ['the publication', /^alter publication .* add/, /publication/],
  ['a view', /^create or replace view/, /view .*recent/],
  ['a function body', /^CREATE OR REPLACE FUNCTION/, /function .*count_atomic/],
  ['extended statistics', /^CREATE STATISTICS|^alter statistics .* set|^comment on statistics/, /statistics .*kinds/],
  ['a rule', /^CREATE RULE|^comment on rule/, /rule No deletes/],
  ['the identity', /add generated|setval|drop identity/, /column id|contains an identity column/],
] as const)('without carrying %s there is no swap', async ([_, missing, complaint], { database }) => {
  const { events } = await createEvents(database, { rows: 100, rowSecurity: true, publication: true })
  const before = await facts(database, events)
  const plan = await planPartitionOf(database.url, written(events), monthly(), quietly())
  const less = without(plan, missing)

  await expect(carryOutOf(database, less)).rejects.toThrow(complaint)

  const { ours } = swapOf(plan)
  expect(await facts(database, events, ours)).toEqual(before)
})

test('a change by another session after the plan is kept: there is no swap', async ({ database }) => {
  const { events, reader } = await createEvents(database, { rows: 100 })
  const plan = await planPartitionOf(database.url, written(events), monthly(), quietly())
  const owner = await database.session('owner')
  await owner.query(sql`grant delete on ${quoted(events)} to ${ident(reader)}`)

  await expect(carryOutOf(database, plan)).rejects.toThrow(/has changed since the plan was made: grant DELETE/)
})

test('the application’s sequence continues', async ({ database }) => {
  const { events } = await createEvents(database, { rows: 10 })
  const app = await database.session('app')
  await app.query(
    sql`select nextval(pg_get_serial_sequence(${quoted(events).text}, 'id')) from generate_series(1, 100)`,
  )

  await partition(database.url, written(events), monthly(), quietly())

  const { rows } = await app.query<{ id: string }>(
    sql`insert into ${quoted(events)} (user_id, kind) values (1, 'x') returning id`,
  )
  expect(Number(rows[0]?.id)).toBeGreaterThan(110)
})

test('subscribers of a publication continue to receive the table under its name', async ({ database }) => {
  const { events, publication } = await createEvents(database, { rows: 10, publication: true })
  const slot = `slot_${database.name}`
  await database.admin(sql`select pg_create_logical_replication_slot(${slot}, 'pgoutput')`)
  try {
    await partition(database.url, written(events), monthly(), quietly())
    const app = await database.session('app')
    await app.query(sql`insert into ${quoted(events)} (user_id, kind) values (1, 'published')`)

    // An insert is `I` and the number of the relation it is for; descriptions of leaves come along unused.
    const { rows } = await database.admin<{ inserted_into: string }>(sql`
      select (('x' || encode(substr(data, 2, 4), 'hex'))::bit(32)::int)::oid::regclass::text as inserted_into
      from pg_logical_slot_get_binary_changes(${slot}, null, null, 'proto_version', '1', 'publication_names', ${`"${publication}"`})
      where get_byte(data, 0) = ascii('I')`)
    const { rows: expected } = await database.admin<{ name: string }>(
      sql`select ${quoted(events).text}::regclass::text as name`,
    )
    expect(rows).toEqual([{ inserted_into: expected[0]?.name }])
  } finally {
    await database.admin(sql`select pg_drop_replication_slot(${slot})`)
  }
})

function without(plan: PartitionPlan, missing: RegExp): PartitionPlan {
  const steps = plan.steps.map((step) => {
    if (step.kind !== 'swap') return step
    const statements = step.statements.filter((statement) => !missing.test(statement))
    expect(statements.length, 'the plan has no such statement').toBeLessThan(step.statements.length)
    return { ...step, statements }
  })
  return { ...plan, steps }
}

function swapOf(plan: PartitionPlan): SwapStep {
  return plan.steps.find((step) => step.kind === 'swap') as SwapStep
}

async function carryOutOf(database: Database, plan: PartitionPlan): Promise<void> {
  const options = quietly()
  const server = await withSession(database.url, 'look', (session) => readServer(session, 'ebb'))
  await withTable({ target: database.url, server, ...options, command: 'partition' }, plan.table, async (context) => {
    const run = {
      command: 'partition',
      table: plan.table,
      request: {},
      plan: toStored(plan),
      format: 0,
      situation: null,
      digest: '',
      stepCount: plan.steps.length,
      retired: null,
      retireAfter: null,
      version: 'test',
    }
    await command.carryOut(runIn(context, await startRun(context.session, 'ebb', run)), plan)
  })
}

async function facts(database: Database, name: TableName, ours: readonly string[] = []) {
  return withSession(database.url, 'look', (session) =>
    inSnapshot(session, async () => {
      const table = await readTable(session, name, database.version)
      if (table === undefined) throw new Error('the table is gone')
      return factsOf(table, ours)
    }),
  )
}
