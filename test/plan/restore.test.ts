import { describe, expect, test } from 'vitest'
import type { ArchivedColumn, ArchivedTable } from '../../src/plan/archive/receipt.ts'
import type { UserType } from '../../src/catalog/table/user-types.ts'
import { planNewTable } from '../../src/plan/restore/new-table.ts'
import { planRestore, type RestorePlan } from '../../src/plan/restore/restore.ts'
import type { RestoreSituation } from '../../src/plan/restore/situation.ts'
import {
  AWFUL,
  AWFUL_SQL,
  column,
  constraint,
  index,
  named,
  predicate,
  primaryKey,
  table,
  trigger,
} from '../support/models.ts'
import { partition, partitions, setOf } from './rotate-support.ts'
import { codes, keys, sqlOf } from './support/gist.ts'
import {
  archived,
  archivedColumn,
  newTableSituation,
  restoreRequest,
  restoreSituation,
  tableToRestore,
} from './support/situations.ts'

const FIRST = 'restore:public.events-00001.csv.gz'

function planOf(overrides: Parameters<typeof restoreSituation>[0] = {}, request = restoreRequest()) {
  return planRestore(restoreSituation(overrides), request)
}

describe('the steps', () => {
  test('one transaction for each object, under a lock that blocks nothing', () => {
    expect(keys(planOf())).toEqual([FIRST, 'restore:public.events-00002.csv.gz', 'analyze:public.events'])
    expect(planOf().steps.flatMap(({ locks }) => locks.map(({ blocks }) => blocks))).toEqual([
      'nothing',
      'nothing',
      'nothing',
    ])
  })

  test('rows are read into a temporary table, and from there into the table; what is there stays', () => {
    expect(sqlOf(planOf(), FIRST)).toEqual([
      'create temporary table "ebb_restore" ("c1" bigint, "c2" timestamp with time zone, "c3" text) on commit drop',
      `copy "pg_temp"."ebb_restore" from stdin with (format csv, header, encoding 'UTF8')`,
      'insert into "public"."events" ("id", "at", "kind") select "id", "at", "kind" from (select "c1" as "id", "c2" as "at", "c3" as "kind" from "pg_temp"."ebb_restore") t on conflict do nothing',
    ])
  })

  test('a condition selects rows, even if it ends in a comment', () => {
    const where = 'id < 7 -- the first'
    const plan = planOf({ predicate: predicate(where) }, restoreRequest({ where }))

    expect(sqlOf(plan, FIRST)[2]).toContain(`t where (${where}\n) is true on conflict do nothing`)
  })

  describe('an object of one group, which need not be read if the condition excludes that,', () => {
    const [object] = archived().objects
    const groupedBy = (name: string, column: Partial<ArchivedColumn> = {}) => {
      const { columns } = archived()
      return archived({
        groupedBy: name,
        columns: columns.map((one) => (one.name === name ? { ...one, ...column } : one)),
        objects: [{ ...object!, group: "it's" }, { ...object!, group: '"7"' }, object!],
      })
    }
    const asked = (of: ArchivedTable, where: string | null = 'id < 7') =>
      planOf(
        { archived: of, predicate: where === null ? null : predicate(where) },
        restoreRequest({ accept: ['restore-type:kind'] }),
      ).steps.flatMap((step) =>
        step.kind === 'restore' ? step.selectedOf.map((query) => query?.split(' t where ')[1]) : [],
      )

    test('is asked about by its value, and one of all others by theirs', () => {
      expect(asked(groupedBy('kind'))).toEqual([
        `(id < 7\n) and t."kind" operator(pg_catalog.=) 'it''s'`,
        `(id < 7\n) and t."kind" operator(pg_catalog.=) '"7"'`,
        `(id < 7\n) and t."kind" operator(pg_catalog.<>) 'it''s' and t."kind" operator(pg_catalog.<>) '"7"'`,
      ])
    })

    test.for<[string, ArchivedTable, string | null]>([
      ['without a condition', groupedBy('kind'), null],
      ['where a collation may say that other values are equal', groupedBy('kind', { collation: AWFUL }), 'id < 7'],
      ['where values are read as another type', groupedBy('kind', { type: 'citext' }), 'id < 7'],
      ['where the text of a value depends on settings', groupedBy('at'), 'id < 7'],
      ['where no group is said', archived({ groupedBy: 'kind' }), 'id < 7'],
    ])('is read %s', ([, of, where]) => {
      expect(new Set(asked(of, where))).toEqual(new Set([undefined]))
    })
  })

  test('values of an identity column are those archived', () => {
    const columns = [column('id', 'bigint', { identity: 'always' }), column('at'), column('kind', 'text')]

    expect(sqlOf(planOf({ table: table({ columns }) }), FIRST)[2]).toContain(' overriding system value select ')
  })

  test('any name will do', () => {
    const named = table({ name: AWFUL, columns: [column('sel"ect', 'bigint')] })
    const rows = archived({ columns: [archivedColumn('sel"ect', 1, { type: 'bigint' })] })

    expect(sqlOf(planOf({ table: named, archived: rows, empty: true }), FIRST)[2]).toContain(
      `insert into ${AWFUL_SQL} ("sel""ect") select "sel""ect" from`,
    )
  })
})

describe('a table that has changed since', () => {
  const [id, at, kind] = table().columns
  if (id === undefined || at === undefined || kind === undefined) throw new Error('the model has three columns')

  test('a renamed column is recognized by its number, and said', () => {
    const columns = [id, at, { ...kind, name: 'sort' }]
    const plan = planOf({ table: table({ columns }), numbers: { id: 1, at: 2, sort: 3 } })

    expect(codes(plan)).toEqual([])
    expect(sqlOf(plan, FIRST)[2]).toContain('"c3" as "sort"')
    expect(plan.evidence).toContain('kind was renamed: its values go into sort')
  })

  test('in another table the same number says nothing', () => {
    const columns = [id, at, { ...kind, name: 'sort' }]
    const other = table({ oid: '99', columns })

    expect(codes(planOf({ table: other, numbers: { id: 1, at: 2, sort: 3 } }))).toEqual(['restore-column:kind'])
  })

  test('a dropped column is left out when that is accepted', () => {
    const without = { table: table({ columns: [id, at] }), numbers: { id: 1, at: 2 } }

    expect(codes(planOf(without))).toEqual(['restore-column:kind'])
    const plan = planOf(without, restoreRequest({ accept: ['restore-column:kind'] }))
    expect(codes(plan)).toEqual([])
    expect(sqlOf(plan, FIRST)[0]).toContain('"c3" pg_catalog.text')
    expect(sqlOf(plan, FIRST)[2]).toContain('("id", "at") select')
  })

  test('a column of another type takes values when that is accepted', () => {
    const columns = [id, at, { ...kind, type: 'character varying(5)' }]

    expect(codes(planOf({ table: table({ columns }) }))).toEqual(['restore-type:kind'])
    const plan = planOf({ table: table({ columns }) }, restoreRequest({ accept: ['restore-type:kind'] }))
    expect(sqlOf(plan, FIRST)[0]).toContain('"c3" character varying(5)')
  })

  describe('a type', () => {
    type Parts = readonly string[]
    const changed = (sort: UserType['kind'], was: Parts, is: Parts, accept: readonly string[] = []) => {
      const type = { name: 'public.sort', kind: sort, parts: was }
      const rows = archived({ columns: [archivedColumn('kind', 3, { types: [type] })] })
      const types = [{ ...type, parts: is }]
      const situation = { archived: rows, types, empty: true, table: table({ columns: [kind] }) }
      return codes(planOf(situation, restoreRequest({ accept })))
    }
    const code = 'restore-changed-type:public.sort'

    test('that has lost a value, or has other attributes, reads archived values otherwise', () => {
      expect(changed('enum', ['a', 'b'], ['b', 'c'])).toEqual([code])
      expect(changed('enum', ['a', 'b'], ['c', 'b', 'a'])).toEqual([])
      expect(changed('composite', ['a integer', 'b text'], ['b text', 'c text'])).toEqual([code])
      expect(changed('composite', ['a text', 'b text'], ['b text', 'a text'])).toEqual([code])
      expect(changed('composite', ['a text', 'b text'], ['a text'])).toEqual([code])
      expect(changed('composite', ['a text'], ['a text'])).toEqual([])
      expect(changed('range', ['integer'], ['bigint'])).toEqual([code])
      expect(changed('enum', ['a'], [], [code])).toEqual([])
    })

    test('a domain takes what it took unless it has another type or a constraint more', () => {
      expect(changed('domain', ['integer', 'CHECK (VALUE > 0)'], ['integer'])).toEqual([])
      expect(changed('domain', ['integer'], ['integer', 'CHECK (VALUE > 0)'])).toEqual([code])
      expect(changed('domain', ['integer'], ['text'])).toEqual([code])
    })

    test('says nothing of a column that has another type by now', () => {
      const type = { name: 'public.sort', kind: 'enum', parts: ['a'] } as const
      const rows = archived({ columns: [archivedColumn('kind', 3, { type: 'public.sort', types: [type] })] })
      const situation = {
        archived: rows,
        types: [{ ...type, parts: [] }],
        empty: true,
        table: table({ columns: [kind] }),
      }

      expect(codes(planOf(situation))).toEqual(['restore-type:kind'])
    })
  })

  test('that is unlogged is emptied by a crash, which is said', () => {
    expect(planOf({ table: table({ persistence: 'unlogged' }) }).notes.join()).toMatch(/events is unlogged: a crash/)
    expect(planOf().notes.join()).not.toMatch(/unlogged/)
  })

  test('a column added since gets its default, or nothing', () => {
    const columns = [id, at, kind, column('more', 'text', { notNull: false })]
    const required = [id, at, kind, column('more', 'text', { notNull: true })]

    expect(planOf({ table: table({ columns }) }).evidence).toContain('more was added since: it is null')
    expect(codes(planOf({ table: table({ columns: required }) }))).toEqual(['restore-not-null'])
  })

  test('generated columns are computed again', () => {
    const columns = [id, at, { ...kind, generated: true }]
    const rows = archived({ columns: archived().columns.map((one, i) => ({ ...one, generated: i === 2 })) })

    expect(sqlOf(planOf({ table: table({ columns }), archived: rows }), FIRST)[2]).toContain('("id", "at") select')
  })
})

describe('blocking issues', () => {
  test('without a unique key rows could be there twice', () => {
    const bare = { table: table({ constraints: [], indexes: [] }) }

    expect(codes(planOf(bare))).toEqual(['restore-key'])
    expect(codes(planOf({ ...bare, empty: true }))).toEqual([])
    expect(codes(planOf(bare, restoreRequest({ accept: ['restore-key'] })))).toEqual([])
    const unique = table({ constraints: [], indexes: [index('one', ['id'], { unique: true })] })
    expect(codes(planOf({ table: unique }))).toEqual([])
  })

  test('kept rows are left out by columns of the receipt only', () => {
    expect(codes(planOf({ keptBy: ['id', 'lost'] }))).toEqual(['restore-removal:lost'])
    const [step] = planOf({ keptBy: ['id'] }).steps
    expect(step?.kind === 'restore' && step.leaveOutKept?.statement).toContain(
      'where row(s."c1")::pg_catalog.text operator(pg_catalog.=) row((k.value operator(pg_catalog.->>) 0)::bigint)',
    )
  })

  test('rights', () => {
    const rights = { insert: false, update: false, createTemporary: false, rowsHidden: true }

    expect(codes(planOf({ rights }))).toEqual(['owner-rights', 'no-temporary', 'row-security'])
  })

  test('a view takes no rows', () => {
    expect(codes(planOf({ table: table({ kind: 'view' }) }))).toEqual(['no-table'])
  })
})

test('triggers fire, and the plan says so', () => {
  const audited = table({ triggers: [trigger('audit', { definition: 'CREATE TRIGGER audit AFTER INSERT ON …' })] })

  expect(planOf({ table: audited }).notes).toContainEqual(expect.stringContaining('triggers of public.events fire'))
})

describe('how many archived rows differ from those there', () => {
  test('is counted by the primary key, as text', () => {
    const [step] = planOf().steps

    expect(step?.kind === 'restore' && step.conflicts).toContain(
      'left join "public"."events" t on t."id" = s."id"\n  where (t.xmin operator(pg_catalog.=) pg_catalog.pg_current_xact_id()::pg_catalog.xid) is not true',
    )
  })

  test('is unknown without one', () => {
    const key = primaryKey('two', ['id', 'lost'])
    const odd = table({ constraints: [key.constraint], indexes: [key.index] })
    const [step] = planOf({ table: odd, empty: true }).steps

    expect(step?.kind === 'restore' && step.conflicts).toBeNull()
  })
})

describe('rows of a partition', () => {
  const partitionOf = {
    schema: 'public',
    name: 'events',
    bounds: "FOR VALUES FROM ('2026-02-01 00:00:00+00') TO ('2026-03-01 00:00:00+00')",
  }
  const february = archived({ name: 'events_2026_02', partitionOf })
  const attach = restoreRequest({ attach: true })
  const into = (...bounds: string[]) => ({ archived: february, set: setOf(partitions(...bounds)) })
  const kept = into('2026-03-01', '2026-04-01')

  test('go through the table where it has partitions for them', () => {
    const month = into('2026-01-01', '2026-02-01', '2026-03-01', '2026-04-01')
    const halves = into('2026-02-01', '2026-02-15', '2026-03-01')

    expect(codes(planOf(month))).toEqual([])
    expect(codes(planOf(halves))).toEqual([])
  })

  test('where their partition is gone it is created again, if that is wanted', () => {
    expect(codes(planOf(kept))).toEqual(['restore-partition'])
    const plan = planOf(kept, attach)
    expect(keys(plan).slice(0, 2)).toEqual(['attach', FIRST])
    expect(sqlOf(plan, 'attach').at(-1)).toBe(
      `alter table "public"."events" attach partition "public"."events_2026_02" for values from ('2026-02-01 00:00:00+00') to ('2026-03-01 00:00:00+00')`,
    )
  })

  test('is divided like the newest: rotation would otherwise not know how to divide later ones', () => {
    const month = partition('2026-03-01', '2026-04-01')
    const child = (name: string, boundsText: string) => ({
      ...month,
      name: named(`${month.name.name}_${name}`),
      boundsText,
    })
    const tree = {
      by: 'LIST (region)',
      children: [child('eu', "FOR VALUES IN ('eu')"), child('rest', 'DEFAULT')],
    }
    const divided = {
      ...kept,
      set: setOf([{ ...month, kind: 'partitioned', tree }]),
      taken: new Set(['events_2026_02_eu']),
    }
    const statements = sqlOf(planOf(divided, attach), 'attach')
    expect(statements.join()).toContain('partition by LIST (region)')
    expect(statements.slice(-3)).toEqual([
      expect.stringMatching(
        /^alter table "public"."events" attach partition "public"."events_2026_02" for values from/,
      ),
      `alter table "public"."events_2026_02" attach partition "public"."events_2026_02_eu_2" FOR VALUES IN ('eu')`,
      `alter table "public"."events_2026_02" attach partition "public"."events_2026_02_rest" DEFAULT`,
    ])
  })

  test('beside a DEFAULT partition it is attached under its locks, and not if that has rows of its range, or is large', () => {
    const fallback = { ...partition(null, null), name: named('fallback'), isDefault: true, range: null }
    const beside = { fallback: fallback.name, rows: 0, heapBytes: 8192 }
    const at = (there: Partial<typeof beside>) => ({
      ...kept,
      set: setOf([...partitions('2026-03-01', '2026-04-01'), fallback]),
      beside: { ...beside, ...there },
    })
    const step = planOf(at({}), attach).steps[0]
    expect(step).toMatchObject({ kind: 'short lock', workTimeoutMs: 200 })
    expect(step?.locks.map(({ table: { name }, mode }) => [name, mode])).toEqual([
      ['events', 'ACCESS EXCLUSIVE'],
      ['fallback', 'ACCESS EXCLUSIVE'],
    ])
    expect(codes(planOf(at({ rows: 1 }), attach))).toEqual(['restore-default'])
    expect(codes(planOf(at({ heapBytes: 1e9 }), attach))).toEqual(['default-size'])
  })

  test('partitions for some of them only are in the way', () => {
    expect(codes(planOf(into('2026-02-10', '2026-03-01'), attach))).toEqual(['restore-overlap'])
    expect(codes(planOf(into('2026-01-01', '2026-02-10'), attach))).toEqual(['restore-overlap'])
  })

  test('a table of its name that is no partition does not take them for it', () => {
    const loose = { archived: february, set: null, table: table({ name: named('events_2026_02') }) }
    const attached = { ...loose, table: table({ name: named('events_2026_02'), partitionOf: 'public.events' }) }

    expect(codes(planOf(loose, attach))).toEqual(['restore-attach'])
    expect(codes(planOf(loose))).toEqual([])
    expect(codes(planOf(attached, attach))).toEqual([])
  })

  test('that began at no bound', () => {
    const history = {
      ...february,
      partitionOf: { ...partitionOf, bounds: "FOR VALUES FROM (MINVALUE) TO ('2026-03-01 00:00:00+00')" },
    }

    expect(codes(planOf({ ...kept, archived: history }))).toEqual(['restore-partition'])
    expect(sqlOf(planOf({ ...kept, archived: history }, attach), 'attach').at(-1)).toContain('from (minvalue) to')
  })
})

describe('a new table', () => {
  test('has the columns and the key, and nothing of the receipt that could execute something', () => {
    const plan = planNewTable(newTableSituation(), restoreRequest())

    expect(keys(plan)).toEqual(['create', FIRST, 'restore:public.events-00002.csv.gz', 'analyze:public.back'])
    expect(sqlOf(plan, 'create')).toEqual([
      'create table "public"."back" ("id" bigint not null, "at" timestamp with time zone not null, "kind" text, primary key ("id"))',
    ])
  })

  const id = archivedColumn('id', 1, { type: 'bigint', notNull: true, identity: 'always' })
  const note = archivedColumn('note', 2, { collation: { schema: 'pg_catalog', name: 'C' }, comment: "it's one" })
  const kind = archivedColumn('kind', 3, { default: 'danger()' })
  const twice = archivedColumn('twice', 4, { type: 'bigint', generated: true, default: '(id * 2)' })
  const ddl = [
    'create table public.events (…)',
    'alter table "public"."events" add constraint "events_pkey" PRIMARY KEY (id)',
    `alter table "public"."events" add constraint "sane" CHECK ((note <> 'no'::text))`,
    `comment on table "public"."events" is 'all'`,
  ]
  test('names a key whose periods do not overlap, which its own has not', () => {
    const [key] = ['alter table "public"."events" add constraint "k" PRIMARY KEY (id, during WITHOUT OVERLAPS)']
    const temporal = archived({ columns: [id], primaryKey: ['id'], key: null, ddl: ['create table …', key] })
    const plan = planNewTable(
      newTableSituation({ to: { archived: temporal, keptBy: null, predicate: null, types: [] } }),
      restoreRequest(),
    )
    expect(plan.notes).toContain(key)
  })

  const rows = archived({ columns: [id, note, kind, twice], primaryKey: ['id'], key: null, comment: 'all', ddl })
  const to = { archived: rows, keptBy: null, predicate: null, types: [] }

  test('has collations and comments, and archived values in place of generated ones', () => {
    const plan = planNewTable(newTableSituation({ to }), restoreRequest())

    expect(sqlOf(plan, 'create')).toEqual([
      'create table "public"."back" ("id" bigint not null, "note" text collate "pg_catalog"."C", "kind" text, "twice" bigint, primary key ("id"))',
      `comment on table "public"."back" is 'all'`,
      `comment on column "public"."back"."note" is 'it''s one'`,
    ])
    expect(sqlOf(plan, FIRST)[2]).toContain('insert into "public"."back" ("id", "note", "kind", "twice") select')
  })

  test('lacks what could execute something, and the plan says what', () => {
    const plan = planNewTable(newTableSituation({ to }), restoreRequest())

    expect(plan.notes.slice(-5)).toEqual([
      'not created, for nothing of a receipt is executed; its ddl has all of it, for you to read and execute:',
      'default danger() of kind',
      'identity of id',
      'generation of twice, which is an ordinary column with the archived values',
      `alter table "public"."events" add constraint "sane" CHECK ((note <> 'no'::text))`,
    ])
    expect(plan.steps.flatMap(({ statements }) => statements).join()).not.toContain('danger')
  })

  test('a type or a collation that is not there is said before anything is created', () => {
    const lacking = [{ column: 'mood', what: 'type public.mood' }]

    expect(codes(planNewTable(newTableSituation({ lacking }), restoreRequest()))).toEqual(['restore-lacks:mood'])
  })
})

describe('a row that the table has with other values', () => {
  const overwrite = restoreRequest({ onConflict: 'overwrite' })

  test('is overwritten only where that is asked for, and the plan says which', () => {
    expect(sqlOf(planOf(), FIRST)).toHaveLength(3)
    expect(planOf().notes).toContainEqual(expect.stringContaining('nothing is overwritten'))
    const plan = planOf({}, overwrite)
    expect(sqlOf(plan, FIRST)[2]).toBe(
      'update "public"."events" t set "at" = s."at", "kind" = s."kind" from (select * from (select "c1" as "id", "c2" as "at", "c3" as "kind" from "pg_temp"."ebb_restore") t) s where t."id" = s."id" and row(t."id", t."at", t."kind")::pg_catalog.text operator(pg_catalog.<>) row(s."id", s."at", s."kind")::pg_catalog.text',
    )
    expect(plan.notes).toContainEqual(expect.stringContaining('is overwritten with those archived'))
  })

  test('needs a primary key, the right to update, and columns that can be set', () => {
    const keyless = table({ constraints: [], indexes: [index('one', ['id'], { unique: true })] })
    expect(codes(planOf({ table: keyless }, overwrite))).toEqual(['overwrite-key'])
    const rights = { insert: true, update: false, createTemporary: true, rowsHidden: false }
    expect(codes(planOf({ rights }))).toEqual([])
    expect(codes(planOf({ rights }, overwrite))).toEqual(['owner-rights'])
    const columns = [column('id', 'bigint'), column('at'), column('kind', 'text', { identity: 'always' })]
    expect(codes(planOf({ table: table({ columns }) }, overwrite))).toEqual(['overwrite-identity:kind'])
  })
})

test('a receipt that is not the one in the journal is an objection; one that it does not know is not', () => {
  const receipt = restoreSituation().receipt

  expect(codes(planOf({ receipt: { ...receipt, recorded: 'f0' } }))).toEqual(['receipt-altered'])
  const unknown = planOf({ receipt: { ...receipt, recorded: null } })
  expect(codes(unknown)).toEqual([])
  expect(unknown.evidence[0]).toContain('compare that with your own records')
})

test('the plan says that no removal is recorded', () => {
  const { receipt } = restoreSituation()
  expect(planOf({}).notes.join()).not.toContain('removal.json')
  expect(planOf({ receipt: { ...receipt, unremoved: true } }).notes.join()).toContain('there is no removal.json')
})

describe('several tables', () => {
  const references = (name: string, to: string) =>
    tableToRestore({
      archived: archived({ name, objects: archived().objects.map((one) => ({ ...one, name: `${name}-${one.name}` })) }),
      table: table({
        name: named(name),
        constraints: [constraint('fk', 'foreign key', '…', { references: named(to) })],
      }),
    })
  const planAll = (...tables: RestoreSituation['tables']) =>
    planRestore({ ...restoreSituation(), tables }, restoreRequest({ archived: null }))
  const orderOf = (plan: RestorePlan) =>
    plan.steps.flatMap((step) => (step.kind === 'restore' ? [step.table.name] : [])).filter((_, i) => i % 2 === 0)

  test('come back in the order of their foreign keys, and all are held', () => {
    const [events, lines, notes] = [tableToRestore(), references('lines', 'events'), references('notes', 'lines')]
    const plan = planAll(notes, lines, events)

    expect(orderOf(plan)).toEqual(['events', 'lines', 'notes'])
    expect(plan.table).toEqual(named('notes'))
    expect(plan.restore?.holds.map(({ table: { name } }) => name)).toEqual(['events', 'lines', 'notes'])
  })

  test('that refer to each other are an objection, which can be accepted', () => {
    const circle = [references('lines', 'notes'), references('notes', 'lines')]

    expect(codes(planAll(...circle))).toEqual(['restore-cycle'])
    const accepted = restoreRequest({ archived: null, accept: ['restore-cycle'] })
    expect(codes(planRestore({ ...restoreSituation(), tables: circle }, accepted))).toEqual([])
  })

  test('one that refers to itself is restored in one transaction', () => {
    const plan = planAll(references('events', 'events'))

    expect(plan.steps.filter(({ kind }) => kind === 'restore')).toMatchObject([{ objects: [{}, {}] }])
  })
})
