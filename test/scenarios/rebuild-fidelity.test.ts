import fc from 'fast-check'
import { describe, expect } from 'vitest'
import { retire, rollback } from '../../src/engine/runs/runs.ts'
import { ObjectionsError } from '../../src/errors.ts'
import type { TableName } from '../../src/sql/names.ts'
import { ident } from '../../src/sql/sql.ts'
import { Database, test } from '../support/database.ts'
import { catalogueOf } from '../support/fidelity/catalogue.ts'
import {
  commonGround,
  differences,
  dumpOf,
  groundOfDump,
  type Dump,
  type DumpGround,
} from '../support/fidelity/dumps.ts'
import { rightsUsed } from '../support/fidelity/rights.ts'
import {
  createRoles,
  everything,
  placeOf,
  refusals,
  schemas,
  statementsFor,
  type Schema,
} from '../support/fidelity/schema.ts'
import { seedFor } from '../support/random.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { once, OWNER } from '../support/template.ts'
import { quietly } from '../support/tool.ts'
import { planRebuildOf, rebuild } from '../support/commands.ts'

// A database before and after, as pg_dump writes it: after a rebuild nothing is missing, and what is new is the former
// table and what catches changes for the way back; once that is let go, or the rebuild is rolled back, not a byte differs.
// What roles may do is compared by doing it. EBB_TEST_ROUNDS for more, EBB_TEST_SEED for the same again.

const ROUNDS = Number(process.env.EBB_TEST_ROUNDS ?? 8)

const GROUNDS = {
  'the server of all tests': async () => commonGround(),
  'the server that came with pg_dump': groundOfDump,
}

describe.each(Object.entries(GROUNDS))('on %s, a rebuild leaves the schema unchanged', (_, obtain) => {
  test.for([true, false])('with every feature of a table (superuser: %s)', async (superuser, { skip }) => {
    const server = await obtain(skip)
    try {
      expect(await check(server, everything(server.ground.version, superuser))).toBe('carried')
    } finally {
      await server.remove()
    }
  })

  test('with anything', { timeout: 900_000 + ROUNDS * 10_000 }, async ({ skip }) => {
    const server = await obtain(skip)
    const ends = { carried: 0, refused: 0 }
    const property = fc.asyncProperty(schemas(server.ground.version), async (schema) => {
      ends[await check(server, schema)]++
    })
    const limit = 600_000 + ROUNDS * 10_000
    try {
      await fc.assert(property, { seed: seedFor('random schemas'), numRuns: ROUNDS, interruptAfterTimeLimit: limit })
    } finally {
      await server.remove()
    }
    console.log(`random schemas: ${ends.carried} carried, ${ends.refused} refused`)
    expect(ends.carried).toBeGreaterThan(ROUNDS / 3)
  })
})

interface Look {
  readonly dump: Dump
  readonly catalogue: Dump
}

/** Rebuilds, rolls back, rebuilds, retires; looks at everything in between. */
async function check({ ground, program }: DumpGround, schema: Schema): Promise<'carried' | 'refused'> {
  const database = await Database.create(ground)
  try {
    const roles = await createRoles(database)
    await once(database.adminUrl, async (client) => {
      for (const statement of statementsFor(schema, roles))
        await client.query(statement).catch((error: Error) => {
          throw new Error(`${statement}: ${error.message}`)
        })
    })
    const place = placeOf(schema, roles)
    const tool = schema.superuser ? database.adminUrl : database.urlFor(OWNER)
    const table = { schema: 'public', name: schema.table }
    const actors = [place.owner, place.reader, place.writer, ident(OWNER).text]
    const look = async () => ({
      dump: program === null ? [] : await dumpOf(program, database.adminUrl),
      catalogue: await catalogueOf(database.adminUrl),
      rights: await rightsUsed(database, place, actors),
      rows: await rowsOf(database, place.table),
    })
    const before = await look()

    const accept = await codeOfOthers(tool, table)
    const plan = await planRebuildOf(tool, table, rebuildRequest(), quietly({ accept }))
    const refused = refusals(schema)
    expect([...new Set(plan.objections.map(({ code }) => code))].sort()).toEqual(refused)
    if (refused.length > 0) {
      await expect(rebuild(tool, table, rebuildRequest(), quietly({ accept }))).rejects.toThrow(ObjectionsError)
      assertSame(before, await look())
      return 'refused'
    }
    const first = await rebuild(tool, table, rebuildRequest(), quietly({ accept }))
    const during = await look()
    for (const kind of ['dump', 'catalogue'] as const) {
      const { missing, added } = differences(before[kind], during[kind])
      expect(missing).toEqual([])
      expect(added.filter((entry) => !isOfTheWayBack(entry))).toEqual([])
    }
    expect({ ...during, dump: [], catalogue: [] }).toEqual({ ...before, dump: [], catalogue: [] })

    await rollback(tool, { runId: first.runId }, quietly({ accept }))
    assertSame(before, await look())

    const second = await rebuild(tool, table, rebuildRequest(), quietly({ accept }))
    await retire(tool, { runId: second.runId }, quietly())
    assertSame(before, await look())
    return 'carried'
  } finally {
    await database.close()
    await database.drop()
  }
}

/** What a superuser is asked about: functions that are not a superuser's. */
async function codeOfOthers(tool: string, table: TableName): Promise<string[]> {
  const { objections } = await planRebuildOf(tool, table, rebuildRequest(), quietly())
  return objections.map(({ code }) => code).filter((code) => code.startsWith('code-of-others:'))
}

function assertSame(before: Look, after: Look): void {
  for (const kind of ['dump', 'catalogue'] as const)
    expect(differences(before[kind], after[kind])).toEqual({ missing: [], added: [] })
  expect(after).toEqual(before)
}

/** The former table with its parts, and the triggers that keep it up to date. */
function isOfTheWayBack(entry: string): boolean {
  return /^(?:Name: |\().*(?:_retired|ebb_[0-9a-f]{8}_back)/.test(entry)
}

async function rowsOf(database: Database, table: string): Promise<unknown> {
  const { rows } = await database.admin<{ row: string }>(`select t::text as row from ${table} t order by n`)
  return rows.map(({ row }) => row)
}
