import { describe, expect, test } from 'vitest'
import { objectionsToLooking } from '../../src/plan/purge/objections.ts'
import type { Archiving } from '../../src/plan/purge/archive/archiving.ts'
import { explainPurging } from '../../src/plan/explain/purge.ts'
import { planPurge } from '../../src/plan/purge/purge.ts'
import type { StoredKind } from '../../src/plan/purge/stored-list.ts'
import { planCascade } from '../../src/plan/references/cascade.ts'
import { OUR_SETTINGS } from '../../src/sql/condition-settings.ts'
import {
  AWFUL,
  AWFUL_SQL,
  condition,
  leaf,
  leafIndex,
  named,
  predicate,
  server,
  table,
  UNTOLD,
} from '../support/models.ts'
import { graphOf, graphWith, reference, graphTable } from './cascade-support.ts'
import { acceptable, blocking, codes, keys, kinds, locksOf, sqlOf } from './support/gist.ts'
import {
  archivedPurgeRequest,
  archivedPurgeSituation,
  purgeRequest,
  purgeSituation,
  recordedPurgeSituation,
} from './support/situations.ts'

const january = leaf({ oid: '1', name: named('events_2026_01') })
const february = leaf({ oid: '2', name: named('events_2026_02') })
const partitioned = table({ kind: 'partitioned table' })

function planOf(overrides: Parameters<typeof purgeSituation>[0] = {}, request = purgeRequest()) {
  return planPurge(purgeSituation(overrides), request)
}

describe('the steps', () => {
  test('delete, vacuum, count the rest; no other session waits', () => {
    expect(keys(planOf())).toEqual(['purge', 'vacuum 16384', 'check'])
    expect(kinds(planOf())).toEqual(['purge', 'vacuum', 'check'])
    expect(blocking(planOf())).toEqual({})
    expect(locksOf(planOf(), 'purge')).toEqual(['public.events: ROW EXCLUSIVE, blocks nothing'])
  })

  test('without vacuum', () => {
    expect(keys(planOf({}, purgeRequest({ vacuum: false })))).toEqual(['purge', 'check'])
  })

  test('a vacuum never truncates the file, and never waits', () => {
    expect(sqlOf(planOf({ leaves: [leaf({ name: AWFUL })] }), 'vacuum 16384')).toEqual([
      `vacuum (analyze, truncate false, skip_locked) ${AWFUL_SQL}`,
    ])
  })

  test('each partition is vacuumed, and the partitioned table analyzed', () => {
    const plan = planOf({ table: partitioned, leaves: [january, february] })

    expect(keys(plan)).toEqual(['purge', 'vacuum 1', 'vacuum 2', 'analyze', 'check'])
    expect(plan.purge?.leaves.map(({ name }) => name)).toEqual([january.name, february.name])
  })

  test('a partition that the role may not vacuum is omitted, with a note', () => {
    const plan = planOf({ table: partitioned, leaves: [january, { ...february, mayVacuum: false }] })

    expect(keys(plan)).toEqual(['purge', 'vacuum 1', 'check'])
    expect(plan.notes).toHaveLength(planOf().notes.length + 1)
  })

  test('without matching rows there is nothing to do', () => {
    for (const nothing of [
      { reach: { selectsSome: false, sparesSome: true } },
      { leaves: [], reach: { selectsSome: false, sparesSome: true } },
    ]) {
      const plan = planOf(nothing)

      expect(codes(plan)).toEqual([])
      expect(plan.steps).toEqual([])
      expect(plan.purge).toBeNull()
    }
  })

  test('the work is the condition, under the settings of the role', () => {
    const settings = { ...OUR_SETTINGS, TimeZone: 'Asia/Tokyo', search_path: 'app' }
    const plan = planOf({ predicate: predicate("day < '2026-01-01'"), condition: condition({ settings }) })

    expect(plan.purge).toMatchObject({ where: "day < '2026-01-01'", settings, action: { kind: 'delete' } })
    expect(plan.steps.find(({ kind }) => kind === 'vacuum')).toMatchObject({
      settings: { search_path: 'pg_catalog, app' },
    })
  })
})

describe('the walk', () => {
  const byTime = leafIndex('events_at', ['at'])

  test('by blocks, if too many rows match for an index', () => {
    const plan = planOf({ leaves: [leaf({ indexes: [byTime], plannedIndex: 'events_at', matching: 90_000 })] })

    expect(plan.purge?.leaves[0]?.walk).toEqual({ kind: 'blocks' })
  })

  test('along an index, if few rows match', () => {
    const plan = planOf({ leaves: [leaf({ indexes: [byTime], plannedIndex: 'events_at', matching: 10 })] })

    expect(plan.purge?.leaves[0]?.walk).toMatchObject({ kind: 'key', index: 'events_at', unique: false })
  })

  test('along the requested index, however many rows match', () => {
    const plan = planOf({ leaves: [leaf({ indexes: [byTime], matching: 90_000 })] }, purgeRequest({ orderBy: 'at' }))

    expect(plan.purge?.leaves[0]?.walk).toMatchObject({ kind: 'key', index: 'events_at' })
  })

  test('along the keys of a candidate set, if that is purged', () => {
    const plan = planOf(
      { candidates: set },
      purgeRequest({ rows: { kind: 'candidates', set: '7', approvedBy: null, ticket: null } }),
    )

    expect(plan.purge?.leaves[0]?.walk).toMatchObject({ among: { set: set.place, leaf: 0 }, unique: true })
    expect(plan.purge?.settings).toBe(set.settings)
  })
})

const set = {
  id: '7',
  table: named('events'),
  place: { schema: 'ebb', name: 'candidates_7' },
  key: [{ name: 'id', type: 'pg_catalog.int8' }],
  leaves: [named('events')],
  settings: { ...OUR_SETTINGS, TimeZone: 'Asia/Tokyo' },
  condition: 'true',
  rows: 10,
  bytes: 100,
  writtenAt: null,
  approvedBy: null,
  ticket: null,
  keyChanged: false,
}

describe('referencing rows', () => {
  const graph = graphOf('details → events')

  test('keep the rows they reference', () => {
    const plan = planOf(around(graph, false))

    expect(plan.purge?.dependents.reasons).toHaveLength(1)
    expect(locksOf(plan, 'purge')).toEqual([
      'public.events: ROW EXCLUSIVE, blocks nothing',
      'public.details: ROW SHARE, blocks nothing',
    ])
  })

  test('are deleted with --cascade; their table is vacuumed, too', () => {
    const plan = planOf(around(graph, true))

    expect(keys(plan)).toEqual(['purge', 'vacuum 16384', 'vacuum details', 'check'])
    expect(plan.purge?.dependents.companions.map(({ table }) => table)).toContainEqual(named('details'))
    expect(locksOf(plan, 'purge')).toContain('public.details: ROW EXCLUSIVE, blocks nothing')
  })

  test.each([
    [
      'would go unasked (on delete cascade)',
      graphOf('details → events cascade'),
      'cascade:public.details.details_events_fkey',
    ],
    [
      'refer to one partition',
      graphWith([reference('details → events', { ontoPartition: true })]),
      'onto-partition:public.details.details_events_fkey',
    ],
    [
      'refer to periods',
      graphWith([reference('details → events', { temporal: true })]),
      'temporal:public.details.details_events_fkey',
    ],
    [
      'cannot be read',
      graphWith([reference('details → events', { readable: false })]),
      'no-select:public.details.details_events_fkey',
    ],
  ])('%s', (_, one, code) => {
    const plan = planOf(around(one, false))

    expect(codes(plan)).toEqual([code])
    expect(plan.steps).toEqual([])
  })

  test.each([
    ['is not there', [named('invoices')], 'protect:public.invoices'],
    ['is the table itself', [named('events')], 'protect-root'],
  ])('a protected table %s', (_, protect, code) => {
    expect(codes(planOf(around(graph, false, protect)))).toEqual([code])
  })

  test('with disabled constraints', () => {
    const off = graphTable('details', { disabledConstraints: [{ name: 'c', of: 'a', on: 'a' }] })

    expect(codes(planOf(around(graphWith(graph.references, [off]), true)))).toEqual(['disabled-foreign-keys'])
  })
})

function around(
  graph: ReturnType<typeof graphOf>,
  cascade: boolean,
  protect = [] as { schema: string; name: string }[],
) {
  // The graph is below the table that is purged, so its root is that table.
  return { graph, around: { cascade, protect }, cascade: planCascade(graph, { cascade, protect }) }
}

describe('objections', () => {
  const foreign = leaf({ kind: 'foreign table', accessMethod: null })
  const triggered = leaf({ deleteTriggers: ['audit'] })

  test.each<[string, Parameters<typeof purgeSituation>[0], Parameters<typeof purgeRequest>[0], string]>([
    ['every row matches', { reach: { selectsSome: true, sparesSome: false } }, {}, 'all-rows'],
    [
      'every row may match',
      { reach: { selectsSome: true, sparesSome: null }, leaves: [leaf({ matching: 99_000 })] },
      {},
      'all-rows',
    ],
    ['rows match in no table', { leaves: [] }, {}, 'rows-elsewhere'],
    ['rows match where there is no block', { leaves: [leaf({ blocks: 0 })] }, {}, 'rows-elsewhere'],
    [
      'triggers whose doings nobody counts',
      { leaves: [triggered], server: server({ countsChanges: false }) },
      {},
      'track-counts',
    ],
    ['a foreign table', { leaves: [foreign] }, {}, 'foreign:public.events'],
    ['storage without addresses', { leaves: [leaf({ accessMethod: 'columnar' })] }, {}, 'access-method:public.events'],
    ['no right to it', { leaves: [leaf({ missingPrivileges: ['DELETE'] })] }, {}, 'privilege:public.events'],
    ['rows hidden', { leaves: [leaf({ rowsHidden: true })] }, {}, 'row-security:public.events'],
    ['a rule', { leaves: [leaf({ deleteRules: ['keep'] })] }, {}, 'rule:public.events.keep'],
    ['published without identity', { leaves: [leaf({ published: UNTOLD })] }, {}, 'replica-identity:public.events'],
    [
      'constraints switched off',
      { leaves: [leaf({ disabledConstraints: [{ name: 'c', of: 'a', on: 'a' }] })] },
      {},
      'disabled-foreign-keys',
    ],
    ['no index in that order', {}, { orderBy: 'at' }, 'order-by:public.events'],
    ['no column for that order', {}, { orderBy: 'seen' }, 'order-by:public.events'],
    [
      'an index with too many rows to a key',
      { leaves: [leaf({ indexes: [leafIndex('i', ['at'], { rowsPerKey: 2000 })] })] },
      { orderBy: 'at' },
      'order-by:public.events',
    ],
    [
      'an index that leaves matches out',
      { leaves: [leaf({ indexes: [leafIndex('i', ['at'], { coversMatches: false })] })] },
      { orderBy: 'at' },
      'order-by:public.events',
    ],
    ['a set that is not complete', { candidates: { ...set, rows: null } }, {}, 'candidates-incomplete'],
    ['a set of another table', { candidates: { ...set, table: named('others') } }, {}, 'candidates-elsewhere'],
    ['a set whose key has changed', { candidates: { ...set, keyChanged: true } }, {}, 'candidates-key'],
  ])('%s', (_, situation, request, code) => {
    const plan = planOf(situation, purgeRequest(request))

    expect(codes(plan)).toEqual([code])
    expect(acceptable(plan)).toEqual([])
    expect(plan.steps).toEqual([])
    expect(plan.purge).toBeNull()
  })

  test('all rows can be deleted with the option', () => {
    const plan = planOf({ reach: { selectsSome: true, sparesSome: false } }, purgeRequest({ allRows: true }))

    expect(codes(plan)).toEqual([])
  })

  test('a column that a partition computes in another way would mean other rows', () => {
    const computedOtherwise = [{ column: 'gross', partition: january.name }]
    const before = { server: server(), journalSchema: 'ebb', table: partitioned, itself: leaf({ oid: '9' }) }
    const found = objectionsToLooking({ ...before, condition: condition({ computedOtherwise }) }, { noArchive: true })

    expect(found).toMatchObject([{ code: 'computed:public.events_2026_01.gross' }])
    expect(found[0]?.acceptable).toBe(false)
  })

  test('a statement trigger of the partitioned table would not fire; that can be accepted', () => {
    const itself = leaf({ oid: '9', statementTriggers: ['tell'] })
    const situation = { table: partitioned, itself, leaves: [january] }
    const refused = planOf(situation)

    expect(acceptable(refused)).toEqual(['statement-trigger:public.events.tell'])
    expect(refused.steps).toEqual([])
    expect(keys(planOf(situation, purgeRequest({ accept: ['statement-trigger:public.events.tell'] })))).toContain(
      'purge',
    )
  })

  test('a rule of a parent does not matter if rows are deleted from the table itself', () => {
    expect(codes(planOf({ itself: leaf({ statementTriggers: ['tell'] }) }))).toEqual([])
    expect(codes(planOf({ itself: leaf({ oid: '9', deleteRules: ['keep'] }), leaves: [january] }))).toEqual([
      'rule:public.events.keep',
    ])
  })
})

describe('with an archive', () => {
  const after = ['purge', 'vacuum 16384', 'check', 'removal', 'drop set']

  test('row versions are listed in the snapshot of the archive, and what is on the list is deleted', () => {
    const plan = planPurge(archivedPurgeSituation(), archivedPurgeRequest())

    expect(keys(plan)).toEqual(['set', 'archive', ...after])
    expect(plan.purge?.leaves.map(({ walk }) => walk)).toMatchObject([{ kind: 'blocks', listed: { leaf: 0 } }])
  })

  test('what Citus stores is listed beside the rows, on their nodes', () => {
    const stored = (archiving: Partial<Archiving>) => {
      const situation = archivedPurgeSituation({ leaves: [leaf({ stored: 'shards' })] })
      return planPurge({ ...situation, archiving: { ...situation.archiving!, ...archiving } }, archivedPurgeRequest())
    }
    const plan = stored({ stored: { kind: 'distributed', distributionColumn: 'id' } })
    expect(keys(plan)).toEqual(['set', 'archive', 'settle', ...after])
    expect(plan.steps[0]?.statements.at(-1)).toBe(
      `select create_distributed_table('"ebb"."purge_keys_7"', 'ebb_key_1', colocate_with => '"public"."events"')`,
    )
    expect(plan.purge?.leaves).toMatchObject([{ archived: { leaf: 0 }, stored: 'shards' }])

    // What is shown is what is done: no row is deleted that is not on the list.
    const shown = explainPurging(plan.steps.find((step) => step.kind === 'purge')!).join('\n')
    expect(shown).toMatch(/insert into "ebb"\."purge_keys_7" as ebb_l[^;]* on conflict[^;]*;/)
    expect(shown).toMatch(/delete from only[^;]* using "ebb"\."purge_keys_7" ebb_c[^;]*;$/)

    const created = (kind: StoredKind['kind']) =>
      stored({ stored: { kind, distributionColumn: null } }).steps[0]?.statements.at(-1)
    expect(created('reference')).toBe(`select create_reference_table('"ebb"."purge_keys_7"')`)
    expect(created('managed local')).toBe(`select citus_add_local_table_to_metadata('"ebb"."purge_keys_7"')`)
    const whole = stored({ stored: { kind: 'distributed', distributionColumn: null } })
    expect(whole.objections.map(({ code }) => code)).toEqual(['citus-archive'])
    expect(whole.objections[0]?.fix).toContain('ebb archive public.events --where')
  })

  test('a run that an earlier version began records keys, as it was planned', () => {
    const plan = planPurge(recordedPurgeSituation(), archivedPurgeRequest())

    expect(keys(plan)).toEqual(['set', 'record', 'settle', 'archive', ...after])
    expect(plan.purge?.leaves.map(({ walk }) => walk)).toMatchObject([{ kind: 'key', among: { consumed: true } }])
  })
})
