import { describe, expect, test } from 'vitest'
import type { ReferenceGraph } from '../../src/catalog/references/reference-graph.ts'
import type { Column, TableModel } from '../../src/catalog/table/table-model.ts'
import { adviseWays, type WaysSituation, type Wish } from '../../src/plan/advise/advise.ts'
import type { KeyAdvice } from '../../src/plan/advise/key-advice.ts'
import type { Predicate } from '../../src/sql/predicate.ts'
import { showBytes } from '../../src/text/units.ts'
import { graphOf, graphTable, graphWith, reference } from './cascade-support.ts'

const ROWS = 5_000_000

function column(name: string, type: string): Column {
  return {
    name,
    quoted: name,
    type,
    notNull: true,
    default: null,
    generated: false,
    identity: null,
    collation: null,
    storage: 'plain',
    compression: '',
    statisticsTarget: null,
    options: [],
    comment: null,
  }
}

/** A plain table on which nothing hangs. */
const table: TableModel = {
  oid: '1',
  name: { schema: 'public', name: 'events' },
  kind: 'table',
  persistence: 'permanent',
  owner: 'app',
  tablespace: null,
  accessMethod: 'heap',
  typed: false,
  partitionOf: null,
  options: [],
  replicaIdentity: 'default',
  rowSecurity: 'off',
  comment: null,
  estimatedRows: ROWS,
  size: { heap: 1_000e6, toast: 0, indexes: 250e6 },
  partitionKey: null,
  grants: [],
  defaultGrantees: [],
  columns: [column('id', 'bigint'), column('at', 'timestamp with time zone')],
  sequences: [],
  constraints: [
    {
      name: 'events_pkey',
      type: 'primary key',
      definition: 'PRIMARY KEY (id)',
      columns: ['id'],
      included: [],
      deferrable: false,
      deferred: false,
      validated: true,
      noInherit: false,
      references: null,
      pairs: null,
      ontoPartitioned: false,
      comment: null,
    },
  ],
  indexes: [
    {
      oid: '2',
      name: 'events_pkey',
      definition: 'CREATE UNIQUE INDEX events_pkey ON public.events USING btree (id)',
      tail: 'USING btree (id)',
      operators: [],
      method: 'btree',
      columns: ['id'],
      included: [],
      unique: true,
      primary: true,
      partial: false,
      valid: true,
      clustered: false,
      replicaIdentity: false,
      constraint: 'events_pkey',
      tablespace: null,
      options: [],
      statisticsTargets: [],
      comment: null,
      bytes: 110e6,
    },
  ],
  baseTypes: {},
  triggers: [],
  constraintTriggers: [],
  policies: [],
  rules: [],
  statistics: [],
  publications: [],
  exceptedFrom: [],
  inboundForeignKeys: [],
  views: [],
  functions: [],
  otherDependents: [],
  wholeRows: [],
  identityUsers: [],
  inheritsFrom: [],
  inheritedBy: [],
  extension: null,
  securityLabels: 0,
  subscriptions: [],
}

const key: KeyAdvice = {
  by: 'at',
  kind: 'timestamptz',
  expireBy: null,
  every: '1 month',
  verdict: 'recommended',
  reasons: [],
  obstacles: [],
  command: "ebb partition public.events --by at --every '1 month'",
}

const inTheWay = { code: 'inbound', what: 'a foreign key points here', fix: 'Drop it.', acceptable: false }
const older: Wish = {
  kind: 'older',
  than: { count: 90, unit: 'day' },
  column: 'at',
  written: `"at" >= now() - interval '90 days'`,
}
const condition: Wish = { kind: 'condition', written: 'not archived' }

interface Given {
  readonly wish?: Wish
  /** Of the rows. */
  readonly kept?: number
  readonly keys?: readonly KeyAdvice[]
  readonly graph?: ReferenceGraph
  readonly table?: Partial<TableModel>
  readonly inRecovery?: boolean
  readonly version?: number
}

function situation({
  wish = older,
  kept = 1,
  keys = [key],
  graph = { root: graphTable('events'), tables: [], references: [], counts: true },
  table: changed = {},
  inRecovery = false,
  version = 170010,
}: Given): WaysSituation {
  const predicate: Predicate | null =
    wish.kind === 'nothing' ? null : { written: wish.written, text: wish.written, uses: null }
  return {
    wish,
    rows: ROWS,
    keptRows: ROWS * kept,
    keys,
    graph,
    rebuild: {
      server: {
        version,
        versionText: '17.10',
        inRecovery,
        readOnly: false,
        now: '1795219200000000',
        database: 'shop',
        role: 'app',
        superuser: false,
        mayCreateSchema: true,
        journalExists: true,
        journalUsable: true,
        firesTriggers: true,
        countsChanges: true,
        deadlockTimeoutMs: 1000,
        journalSchema: 'ebb',
        publishingAll: [],
      },
      journalSchema: 'ebb',
      table: { ...table, ...changed },
      privileges: {
        database: 'shop',
        rowsHidden: false,
        actAsOwner: true,
        createInSchema: true,
        createTemporary: true,
        notOurs: [],
        notReferable: [],
        lacking: [],
        defaultsTake: false,
      },
      predicate,
      condition: { settings: {}, volatile: [], stable: [], timed: false, unheeded: [], computedOtherwise: [] },
      keptRows: ROWS * kept,
      taken: new Set(),
      tag: '00000000',
    },
  }
}

describe('the best method', () => {
  test.for<[string, Given, string | null, RegExp]>([
    ['few have expired: nothing is moved', { kept: 0.8 }, 'partition', /only 20 % .* no row is moved/],
    ['none has expired', { kept: 1 }, 'partition', /none of the rows/],
    ['many have expired: one pass', { kept: 0.2 }, 'partition by copying', /80 % .* frees 1\.0 GB/],
    ['exactly where it turns', { kept: 0.7 }, 'partition by copying', /30 %/],
    ['it cannot be partitioned', { kept: 0.2, keys: [{ ...key, obstacles: [inTheWay] }] }, 'rebuild', /repeated when/],
    ['it has no key', { kept: 0.2, keys: [] }, 'rebuild', /repeated when/],
    ['it is unlogged', { kept: 0.2, table: { persistence: 'unlogged' } }, 'rebuild', /repeated when/],
    ['a condition, most go', { wish: condition, kept: 0.1 }, 'rebuild', /90 % .* is cheaper than deleting/],
    [
      'a condition, few go',
      { wish: condition, kept: 0.99 },
      'purge',
      /Deleting them in batches is cheaper .* no disk space/,
    ],
    ['nothing but deleting is open', { keys: [], kept: 0.5, table: { typed: true } }, 'purge', /for any table/],
    ['the same by a condition', { wish: condition, table: { typed: true } }, 'purge', /for any table/],
    ['nothing is asked', { wish: { kind: 'nothing' } }, 'partition', /no rows are to be removed now/],
    ['nothing is asked, nothing can be', { wish: { kind: 'nothing' }, keys: [] }, null, /pass --keep/],
    ['a view', { table: { kind: 'view' } }, null, /is a view\. Pass the underlying table/],
    ['no way is open', { kept: 0.5, inRecovery: true }, null, /every method is blocked/],
  ])('%s', ([, given, chosen, why]) => {
    const advice = adviseWays(situation(given))
    expect(advice.why).toMatch(why)
    expect(advice.chosen).toBe(chosen)
    expect(advice.ways.filter(({ verdict }) => verdict === 'chosen').map(({ name }) => name)).toEqual(
      chosen === null ? [] : [chosen],
    )
  })
})

test.for<[string, Given, boolean]>([
  ['on 19, with all rows', { version: 190000, wish: { kind: 'nothing' } }, true],
  ['on 19, with some', { version: 190000, kept: 0.5 }, false],
  ['on 18', { version: 180004, wish: { kind: 'nothing' } }, false],
])('REPACK is named where it does the same: %s', ([, given, named]) => {
  const rebuild = adviseWays(situation(given)).ways.find(({ name }) => name === 'rebuild')
  const lines = rebuild?.application.filter((line) => line.startsWith('repack (concurrently) "public"."events" '))
  expect(lines).toHaveLength(named ? 1 : 0)
})

describe('the costs', () => {
  function costs(given: Given) {
    const { ways } = adviseWays(situation(given))
    return Object.fromEntries(ways.map(({ name, costs }) => [name, costs]))
  }

  test('keeping a tenth writes a tenth, and frees nine tenths', () => {
    const { rebuild } = costs({ kept: 0.1 })
    expect(rebuild).toMatchObject({ touchedRows: 500_000, diskBytes: 125e6 })
    expect(rebuild?.freedBytes).toBeCloseTo(1_125e6)
    expect(rebuild?.walBytes).toBeCloseTo(0.1 * (1.1 * 1_000e6 + 250e6))
  })

  test('attaching writes only the wider index; by id not even that', () => {
    expect(costs({}).partition).toMatchObject({ touchedRows: 0, readBytes: 2_000e6, diskBytes: 154e6 })
    const byId = costs({ keys: [{ ...key, by: 'id', expireBy: 'at' }] })
    expect(byId.partition).toMatchObject({ touchedRows: 0, readBytes: 1_000e6, walBytes: 0, diskBytes: 0 })
  })

  test('deleting writes WAL for the rows and for the vacuum, and that is compared', () => {
    const advice = adviseWays(situation({ wish: condition, kept: 0.9 }))
    const walBytes = 500_000 * 2 * 165
    expect(advice.ways.find(({ name }) => name === 'purge')?.costs).toMatchObject({ walBytes })
    expect(advice.why).toContain(`${showBytes(walBytes)} by deleting and vacuuming`)
  })

  test('a foreign key without an index costs each deleted row a scan of the other table', () => {
    const notes = graphTable('notes', { estimatedRows: 1_000_000 })
    const [without, withIndex] = [false, true].map((indexed) => {
      const graph = graphWith([reference('notes → events', { indexed })], [notes])
      return costs({ kept: 0.9, graph }).purge?.seconds ?? 0
    })
    expect(without).toBeGreaterThan(500_000 * 0.05)
    expect(withIndex).toBeLessThan(60)
  })
})

describe('rows referencing deleted rows', () => {
  const purgeOf = (graph: ReferenceGraph) =>
    adviseWays(situation({ wish: condition, kept: 0.99, graph })).ways.find(({ name }) => name === 'purge')!
  const plain = '--no-archive'

  test.for<[what: string, graph: ReferenceGraph, words: string, said: string]>([
    ['keep them where the schema says so', graphOf('notes → events'), plain, 'rows referenced by public.notes.'],
    ['go along where the schema says so', graphOf('notes → events cascade'), `${plain} --cascade`, 'public.notes that'],
    ['lose what refers', graphOf('notes → events set null'), plain, 'triggers and cascades fire'],
    [
      'each as the schema says',
      graphOf('notes → events cascade', 'bills → events restrict', 'lines → notes', 'pages → notes cascade'),
      `${plain} --cascade --protect public.lines --protect public.bills`,
      'rows leading to rows of public.bills, which is protected stay',
    ],
  ])('%s', ([, graph, words, said]) => {
    const { command, application } = purgeOf(graph)
    expect(command.slice(command.indexOf(plain))).toBe(words)
    expect(application.join('\n')).toContain(said)
  })

  test('a missing index is to be created first, if worthwhile', () => {
    const notes = graphTable('notes', { estimatedRows: 500_000 })
    const graph = (indexed: boolean) => graphWith([reference('notes → events', { indexed })], [notes])
    expect(purgeOf(graph(true)).first).toEqual([])
    expect(purgeOf(graph(false)).first).toEqual([
      'Create an index: without it deleting takes 24 min, with it 3 s.',
      'Create one without blocking writes: create index concurrently on "public"."notes" ("events_id");',
    ])
    const few = graphWith([reference('notes → events', { indexed: false })], [{ ...notes, estimatedRows: 100 }])
    expect(purgeOf(few).first).toEqual([])
  })

  test('also at lower levels, if rows are deleted there', () => {
    const lines = graphTable('lines', { estimatedRows: 500_000 })
    const references = [
      reference('notes → events', { onDelete: 'cascade' }),
      reference('lines → notes', { onDelete: 'cascade', indexed: false }),
    ]
    const notes = graphTable('notes', { estimatedRows: 5_000_000 })
    const events = graphTable('events', { estimatedRows: ROWS })
    expect(purgeOf(graphWith(references, [notes, lines, events])).first.join()).toContain(
      '"public"."lines" ("notes_id")',
    )
  })
})

test('consumers learn which method emits no event, and which one per row', () => {
  const said = (given: Given) =>
    Object.fromEntries(adviseWays(situation(given)).ways.map(({ name, consumers }) => [name, consumers.join('\n')]))
  const few = said({ kept: 0.9 })
  expect(few['rebuild']).toContain('500,000 rows that are left out emit no delete events')
  expect(few['partition']).toContain('detached, truncated or dropped later emit no delete events')
  expect(few['purge']).toContain('one delete event for each of about 500,000 rows')
  const publications = [
    { name: 'feed', owner: 'app', covers: 'table', viaRoot: true, columns: null, filter: null },
  ] as const
  expect(said({ table: { publications } })['rebuild']).toContain('feed publishes the new table from the swap on')
})

test('deleted rows are those a rebuild would leave out, including NULL results of the condition', () => {
  const purge = (given: Given) => adviseWays(situation(given)).ways.find(({ name }) => name === 'purge')?.command
  expect(purge({ kept: 0.2 })).toContain('not ("at"')
  const written = "kind = 'new'"
  expect(purge({ kept: 0.2, wish: { kind: 'condition', written } })).toContain("(kind = '\\''new'\\'') is not true")
  const maybe = { columns: table.columns.map((one) => ({ ...one, notNull: false })) }
  expect(purge({ kept: 0.2, table: maybe })).toContain('is not true')
})

test('commands can be copied to a shell', () => {
  const commands = adviseWays(situation({ kept: 0.2 })).ways.map(({ command }) => command)
  expect(commands).toEqual([
    "ebb partition public.events --by at --every '1 month' --keep '90 days'",
    "ebb partition public.events --by at --every '1 month' --method copy --keep '90 days' --no-archive",
    `ebb rebuild public.events --keep '"at" >= now() - interval '\\''90 days'\\''' --no-archive`,
    `ebb purge public.events --where 'not ("at" >= now() - interval '\\''90 days'\\'')' --no-archive`,
  ])
})
