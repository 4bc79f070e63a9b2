import { describe, expect, test } from 'vitest'
import type { IdSample, KeyModel } from '../../src/catalog/table/key-model.ts'
import type { Column, TableModel } from '../../src/catalog/table/table-model.ts'
import { adviseKeys, type AdviceSituation, type KeyCandidate } from '../../src/plan/advise/key-advice.ts'

const DAY = 86_400_000_000n
const NOW = BigInt(Date.UTC(2026, 10, 21)) * 1000n

function column(name: string, type: string, notNull = true): Column {
  return {
    name,
    quoted: name,
    type,
    notNull,
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

const primaryKey = {
  name: 'events_pkey',
  type: 'primary key' as const,
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
}

const inbound = {
  table: { schema: 'public', name: 'notes' },
  tableKind: 'table' as const,
  tableOwner: 'app',
  name: 'notes_event_fkey',
  definition: 'FOREIGN KEY (event_id) REFERENCES events(id)',
  pairs: [],
  validated: true,
  comment: null,
}

/** What advice looks at; the rest of the model is nothing to it. */
const table = {
  name: { schema: 'public', name: 'events' },
  columns: [column('id', 'bigint'), column('at', 'timestamp with time zone'), column('seen', 'date', false)],
  sequences: [],
  constraints: [primaryKey],
  indexes: [],
  inboundForeignKeys: [],
  size: { heap: 8e9, indexes: 2e9, toast: 0 },
} as unknown as TableModel

function key(column: string, type: string, given: Partial<KeyModel> = {}): KeyModel {
  const range = { min: '2025-09-21 00:00:00+00', max: '2026-11-21 00:00:00+00', range: 'exact' as const }
  return { column, type, ...range, correlation: 1, nullFraction: 0, indexed: true, ...given }
}

function growing(direction: 1 | -1 = 1): IdSample[] {
  return Array.from({ length: 20 }, (_, n) => ({
    id: String(1_000_000 * (n + 1)),
    at: (NOW - 400n * DAY + BigInt(direction * n + (direction === 1 ? 0 : 20)) * 20n * DAY).toString(),
  }))
}

const byTime: KeyCandidate = { key: key('at', 'timestamp with time zone'), expireBy: null, samples: [] }
const byId: KeyCandidate = {
  key: key('id', 'bigint', { min: '1', max: '20000000' }),
  expireBy: 'at',
  samples: growing(),
}

function advise(given: Partial<AdviceSituation>) {
  return adviseKeys({ table, candidates: [byId, byTime], upserts: [], now: NOW, ...given })
}

test('if nothing depends on the id, time is preferred', () => {
  const [first, second] = advise({})
  expect(first).toMatchObject({ by: 'at', verdict: 'recommended', every: '1 month' })
  expect(first?.command).toBe("ebb partition public.events --by at --every '1 month'")
  expect(second).toMatchObject({ by: 'id', verdict: 'possible', expireBy: 'at' })
  expect(second?.command).toBe('ebb partition public.events --by id --every 2_000_000 --expire-by at')
})

describe('if something depends on the id, the id is preferred, and time is obstructed', () => {
  test('a foreign key of another table', () => {
    const [first, second] = advise({ table: { ...table, inboundForeignKeys: [inbound] } })
    expect(first).toMatchObject({ by: 'id', verdict: 'recommended' })
    expect(first?.reasons.join()).toContain('notes_event_fkey')
    expect(second).toMatchObject({ by: 'at', verdict: 'obstructed' })
    expect(second?.obstacles.map(({ code }) => code)).toEqual(['inbound:public.notes.notes_event_fkey'])
  })

  test('even where both are obstructed, by a unique index that contains neither', () => {
    const token = { name: 'events_token', unique: true, primary: false, constraint: null, columns: ['token'] }
    const obstructed = { ...table, indexes: [token] } as unknown as TableModel
    expect(advise({ table: obstructed }).map(({ by, verdict }) => [by, verdict])).toEqual([
      ['at', 'obstructed'],
      ['id', 'obstructed'],
    ])
    const relied = { ...obstructed, inboundForeignKeys: [inbound] }
    expect(advise({ table: relied }).map(({ by }) => by)).toEqual(['id', 'at'])
  })

  test('an observed upsert', () => {
    const [first, second] = advise({ upserts: ['insert into events … on conflict (id) do nothing'] })
    expect(first).toMatchObject({ by: 'id', verdict: 'recommended' })
    expect(second?.obstacles.map(({ code }) => code)).toEqual(['upsert'])
  })
})

test('if the primary key contains the time already, nothing changes', () => {
  const constraints = [{ ...primaryKey, columns: ['id', 'at'] }]
  const [first] = advise({ table: { ...table, constraints } })
  expect(first?.reasons).toContain('the primary key stays as it is')
})

test('an id that does not grow with time is obstructed', () => {
  const advice = advise({ candidates: [{ ...byId, samples: growing(-1) }, byTime] })
  expect(advice.map(({ by, verdict }) => [by, verdict])).toEqual([
    ['at', 'recommended'],
    ['id', 'obstructed'],
  ])
  expect(advice[1]?.obstacles[0]?.code).toBe('id-not-growing')
})

test('a column that is nullable or contains infinity is obstructed and ranks last', () => {
  const seen = { ...byTime, key: key('seen', 'date', { min: '2025-09-21', max: '2026-11-21' }) }
  const endless = { ...byTime, key: key('at', 'timestamp with time zone', { max: 'infinity' }) }
  expect(advise({ candidates: [seen, byTime] }).map(({ by, verdict }) => [by, verdict])).toEqual([
    ['at', 'recommended'],
    ['seen', 'obstructed'],
  ])
  expect(advise({ candidates: [endless] })).toMatchObject([
    { verdict: 'obstructed', obstacles: [{ code: 'key-infinity' }] },
  ])
})

test('a value outside of the calendar is reported without throwing', () => {
  const far = { ...byTime, key: key('at', 'timestamp with time zone', { max: '20260-01-01 00:00:00+00' }) }
  expect(advise({ candidates: [far] })).toMatchObject([
    { verdict: 'obstructed', obstacles: [{ code: 'key-off-calendar' }] },
  ])
})

describe('excluded are', () => {
  test.each([
    ['integers that are no time', key('id', 'bigint', { min: '1', max: '100' })],
    ['random UUIDs', key('at', 'uuid', { min: '0b1d2c3d-0000-4000-8000-000000000000', max: '…' })],
    ['types that cannot be a key', key('at', 'text')],
  ])('%s', (_, model) => {
    expect(advise({ candidates: [{ key: model, expireBy: null, samples: [] }] })).toEqual([])
  })

  test('ids from a sequence, even if they look like epoch seconds', () => {
    const numbered = { ...byTime, key: key('id', 'bigint', { min: '1', max: '1700000000' }) }
    expect(advise({ candidates: [numbered] })).toHaveLength(1)
    const sequences = [{ column: 'id' }] as unknown as TableModel['sequences']
    expect(advise({ candidates: [numbered], table: { ...table, sequences } })).toEqual([])
  })
})

describe('the width fits the data', () => {
  test.each([
    ['14 months and 10 GB', '2025-09-21', 10e9, '1 month'],
    ['ten weeks', '2026-09-12', 10e9, '1 week'],
    ['three weeks', '2026-10-31', 10e9, '1 day'],
    ['14 months and 2 TB', '2025-09-21', 2e12, '1 day'],
    ['14 months and 500 GB', '2025-09-21', 500e9, '1 week'],
  ])('%s', (_, from, heap, every) => {
    const candidate = { ...byTime, key: key('at', 'timestamp with time zone', { min: `${from} 00:00:00+00` }) }
    const size = { heap, indexes: 0, toast: 0 }
    expect(advise({ candidates: [candidate], table: { ...table, size } })[0]?.every).toBe(every)
  })

  test('an empty table', () => {
    const empty = { ...byTime, key: key('at', 'timestamp with time zone', { min: null, max: null }) }
    expect(advise({ candidates: [empty] })[0]).toMatchObject({ every: '1 month', verdict: 'recommended' })
  })
})

test('names are quoted for a shell', () => {
  const name = { schema: 'public', name: "Kate's" }
  const candidate = { ...byTime, key: key('at', 'timestamp with time zone') }
  expect(advise({ candidates: [candidate], table: { ...table, name } })[0]?.command).toBe(
    `ebb partition 'public."Kate'\\''s"' --by at --every '1 month'`,
  )
})
