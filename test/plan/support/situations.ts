import type { ArchiveSituation } from '../../../src/plan/archive/situation.ts'
import type { ArchiveRequest } from '../../../src/plan/archive/request.ts'
import type { TableModel } from '../../../src/catalog/table/table-model.ts'
import type { KeptForRollback } from '../../../src/plan/copy/retire.ts'
import type { RebuildRollbackSituation } from '../../../src/plan/copy/rollback.ts'
import { fromText } from '../../../src/grid/key.ts'
import type { CopyRequest, CopySituation } from '../../../src/plan/partition/partition-copy.ts'
import { planPartition, type PartitionSituation } from '../../../src/plan/partition/partition.ts'
import type { RollbackSituation } from '../../../src/plan/partition/rollback.ts'
import type { PartitionRequest } from '../../../src/plan/language/policy.ts'
import { planRebuild, type RebuildRequest, type RebuildSituation } from '../../../src/plan/copy/rebuild.ts'
import type { RebuildSummary } from '../../../src/plan/copy/summary.ts'
import { planCascade, type CascadeRequest } from '../../../src/plan/references/cascade.ts'
import type { PurgeSituation } from '../../../src/plan/purge/situation.ts'
import type { PurgeRequest } from '../../../src/plan/purge/request.ts'
import type { CandidateSituation } from '../../../src/plan/purge/candidates.ts'
import { markBy, type Mark, type MarkRequest, type MarkSituation } from '../../../src/plan/purge/mark.ts'
import type { SplitSummary } from '../../../src/plan/split/exchange.ts'
import { planSplit } from '../../../src/plan/split/split.ts'
import { factsOf } from '../../../src/plan/table/facts.ts'
import type { SplitRequest, SplitSituation } from '../../../src/plan/split/situation.ts'
import type { ArchivedColumn, ArchivedTable } from '../../../src/plan/archive/receipt.ts'
import type { NewTable } from '../../../src/plan/restore/new-table.ts'
import type {
  ReceiptFacts,
  RestoreRequest,
  RestoreSituation,
  TableToRestore,
} from '../../../src/plan/restore/situation.ts'
import type { ViewRequest, ViewSituation } from '../../../src/plan/view/view.ts'
import { OUR_SETTINGS } from '../../../src/sql/condition-settings.ts'
import type { ReferenceGraph } from '../../../src/catalog/references/reference-graph.ts'
import {
  column,
  condition,
  constraint,
  foreignKey,
  inbound,
  index,
  instant,
  leaf,
  named,
  NOW,
  predicate,
  primaryKey,
  privileges,
  sequence,
  server,
  table,
  trigger,
  view,
  UNPUBLISHED,
} from '../../support/models.ts'
import { MONTHLY, partition, setOf } from '../rotate-support.ts'

// What each planner is given: the table of models.ts, and a request that can be
// granted. A test changes the one thing that it is about.

const DAY = { count: 1, unit: 'day' } as const

/** A table that has one of everything a plan must carry, keep or rebuild. */
export const FURNISHED = table({
  comment: 'what happened',
  columns: [
    column('id', 'bigint', { default: "nextval('public.events_id_seq')" }),
    column('at'),
    column('user_id', 'bigint'),
  ],
  indexes: [primaryKey('events_pkey', ['id', 'at']).index, index('events_user', ['user_id'])],
  constraints: [
    primaryKey('events_pkey', ['id', 'at']).constraint,
    constraint('sane', 'check', 'CHECK (id > 0)', { columns: ['id'] }),
    foreignKey('of_user', 'user_id', named('users')),
  ],
  sequences: [sequence('events_id_seq', 'id')],
  triggers: [trigger('audit')],
  inboundForeignKeys: [inbound(named('details'), 'of_event')],
  views: [view(named('recent'))],
  statistics: [
    {
      name: named('events_stat'),
      definition: 'CREATE STATISTICS public.events_stat ON id, user_id FROM public.events',
      owner: 'ebb_owner',
      target: null,
      comment: null,
    },
  ],
})

export function partitionSituation(overrides: Partial<PartitionSituation> = {}): PartitionSituation {
  return {
    server: server(),
    journalSchema: 'ebb',
    table: table({ indexes: [BY_TIME.index], constraints: [BY_TIME.constraint] }),
    privileges: privileges(),
    evidence: timeEvidence(),
    upserts: [],
    taken: new Set(['events']),
    settings: OUR_SETTINGS,
    ...overrides,
  }
}

/** A primary key that holds the key of the partitions already. */
export const BY_TIME = primaryKey('events_pkey', ['id', 'at'])

export function timeEvidence(min = '2026-01-05 00:00:00+00', max = '2026-03-14 00:00:00+00') {
  const key = {
    column: 'at',
    type: 'timestamp with time zone',
    min,
    max,
    range: 'exact' as const,
    correlation: 1,
    nullFraction: 0,
    indexed: true,
  }
  return { key, samples: [], handedOut: null, now: instant(NOW) }
}

export function partitionRequest(overrides: Partial<PartitionRequest> = {}): PartitionRequest {
  return {
    by: 'at',
    every: { kind: 'interval', interval: { count: 1, unit: 'month' } },
    expireBy: null,
    keep: null,
    premake: 2,
    timezone: 'UTC',
    accept: [],
    ...overrides,
  }
}

export function copySituation(overrides: Partial<CopySituation> = {}): CopySituation {
  return { ...partitionSituation(), keptRows: 1_000_000, tag: '0a1b2c3d', ...overrides }
}

export function copyRequest(overrides: Partial<CopyRequest> = {}): CopyRequest {
  return { ...partitionRequest(), transport: 'auto', jobs: 1, noArchive: true, retireAfter: null, ...overrides }
}

export function rebuildSituation(overrides: Partial<RebuildSituation> = {}): RebuildSituation {
  return {
    server: server(),
    journalSchema: 'ebb',
    table: table(),
    privileges: privileges(),
    predicate: null,
    keptRows: 1_000_000,
    condition: condition(),
    taken: new Set(['events', 'events_pkey']),
    tag: '0a1b2c3d',
    ...overrides,
  }
}

export function rebuildRequest(overrides: Partial<RebuildRequest> = {}): RebuildRequest {
  return { keep: null, transport: 'auto', jobs: 1, noArchive: true, retireAfter: null, ...overrides }
}

/** What a rebuild that has ended is remembered by. */
export function rebuilt(overrides: Partial<RebuildSituation> = {}): RebuildSummary {
  const { rebuild } = planRebuild(rebuildSituation(overrides), rebuildRequest())
  if (rebuild === null) throw new Error('it has objections')
  return rebuild
}

/** A rollback to this table, unchanged since its conversion. */
export function converted(of: Parameters<typeof table>[0] = {}): RollbackSituation {
  const { conversion } = planPartition(partitionSituation({ table: table(of) }), partitionRequest())
  if (conversion === null) throw new Error('it has objections')
  const current = table({ ...of, indexes: [BY_TIME.index], constraints: [BY_TIME.constraint] })
  return {
    runId: '7',
    conversion,
    converted: factsOf(current),
    current,
    historyAttached: true,
    others: [{ name: named('events_2026_04'), empty: true }],
    removed: [],
    taken: new Set(['events', 'events_history']),
    server: server(),
  }
}

/** A rollback of a split of this table, unchanged since. */
export function splitBack(parent: TableModel): {
  readonly situation: RebuildRollbackSituation
  readonly split: SplitSummary
} {
  const { rebuild, split } = planSplit(splitSituation({ parent }), splitRequest())
  if (rebuild === null || split === null) throw new Error('it has objections')
  const situation = {
    runId: '7',
    rebuild,
    current: parent,
    retired: rebuild.retired,
    gaps: [],
    partitions: split.leaves.map((name, i) => ({ name, oid: String(17000 + i) })),
    removed: [],
    taken: new Set<string>(),
    server: server(),
  }
  return { situation, split }
}

/** All of it is still there, under the names that were recorded. */
export function kept({ retired, original }: RebuildSummary): KeptForRollback {
  return { retired, retiredOid: '16399', captured: original.name, nameTaken: false, restored: false }
}

/** Everything up to March in one partition, in a table that is by months. */
export function splitSituation(overrides: Partial<SplitSituation> = {}): SplitSituation {
  const wide = partition(null, '2026-04-01', { name: named('events_history'), oid: '16400' })
  const set = setOf([wide, partition('2026-04-01', '2026-05-01')])
  const parent = table({
    kind: 'partitioned table',
    indexes: [BY_TIME.index],
    constraints: [BY_TIME.constraint],
  })
  return {
    server: server(),
    journalSchema: 'ebb',
    set,
    parent,
    policy: { ...MONTHLY, keep: null },
    grid: { kind: 'time', every: { count: 1, unit: 'month' }, timezone: 'UTC' },
    partition: wide,
    wide: table({ ...parent, oid: '16400', name: wide.name, kind: 'table', partitionOf: 'public.events' }),
    least: fromText('timestamptz', '2026-02-10 00:00:00+00'),
    keptRows: 500_000,
    settings: OUR_SETTINGS,
    taken: new Set(['events', 'events_history', 'p_2026-04-01']),
    tag: '0a1b2c3d',
    ...overrides,
  }
}

export function splitRequest(overrides: Partial<SplitRequest> = {}): SplitRequest {
  return { keep: null, transport: 'auto', jobs: 1, noArchive: true, retireAfter: null, ...overrides }
}

export function purgeSituation(overrides: Partial<PurgeSituation> & { around?: CascadeRequest } = {}): PurgeSituation {
  const around = overrides.around ?? { cascade: false, protect: [] }
  const graph = overrides.graph ?? NOTHING_AROUND
  return {
    server: server(),
    table: table(),
    itself: leaf(),
    predicate: predicate('at < now()'),
    leaves: [leaf()],
    reach: { selectsSome: true, sparesSome: true },
    condition: condition(),
    graph,
    around,
    cascade: planCascade(graph, around),
    lookUps: [],
    ...overrides,
  }
}

const EVENTS = {
  oid: '16384',
  name: named('events'),
  owner: 'ebb_owner',
  partitioned: false,
  estimatedRows: 100_000,
  mayDelete: true,
  mayVacuum: true,
  rowsHidden: false,
  published: UNPUBLISHED,
  disabledConstraints: [],
}

const NOTHING_AROUND: ReferenceGraph = { root: EVENTS, tables: [EVENTS], references: [], counts: true }

export function purgeRequest(overrides: Partial<PurgeRequest> = {}): PurgeRequest {
  return {
    rows: { kind: 'matching', where: 'at < now()' },
    orderBy: null,
    allRows: false,
    vacuum: true,
    noArchive: true,
    cascade: false,
    protect: [],
    accept: [],
    ...overrides,
  }
}

export function archivedPurgeSituation(overrides: Partial<PurgeSituation> = {}): PurgeSituation {
  const place = { schema: 'ebb', name: 'purge_keys_7' }
  const key = [{ name: 'id', type: 'pg_catalog.int8' }]
  const archiving = { key, place, mayCreateThere: true, notReadBack: [], listed: true } as const
  return purgeSituation({ archiving, ...overrides })
}

/** As an earlier version stored it: keys were recorded in any case. */
export function recordedPurgeSituation(): PurgeSituation {
  const { archiving, ...situation } = archivedPurgeSituation()
  if (archiving === undefined) throw new Error('nothing is archived')
  const { listed: _listed, ...recorded } = archiving
  return { ...situation, archiving: recorded }
}

export function archivedPurgeRequest(overrides: Partial<PurgeRequest> = {}): PurgeRequest {
  return purgeRequest({ noArchive: false, archive: ARCHIVE, ...overrides })
}

export function markSituation(overrides: Partial<MarkSituation> = {}): MarkSituation {
  const { server, table, predicate, leaves, reach, condition } = purgeSituation()
  const facts = [{ name: named('events'), rules: [], disabledConstraints: [], published: UNPUBLISHED, triggers: [] }]
  return { server, table, predicate, leaves, reach, condition, facts, ...overrides }
}

export function markRequest(overrides: Partial<MarkRequest> = {}): MarkRequest {
  return { rows: { kind: 'matching', where: 'at < now()' }, column: 'gone', allRows: false, vacuum: true, ...overrides }
}

export function markIn(type: string, name = 'gone'): Mark {
  const mark = markBy(column(name, type), "'2026-03-15 00:00:00+00'::pg_catalog.timestamptz")
  if (mark === null) throw new Error(`no mark in a column of type ${type}`)
  return mark
}

export function candidateSituation(overrides: Partial<CandidateSituation> = {}): CandidateSituation {
  const { server, table, predicate, leaves, reach, condition } = purgeSituation()
  return {
    server,
    table,
    predicate,
    leaves,
    reach,
    condition,
    key: [{ name: 'id', type: 'pg_catalog.int8' }],
    place: { schema: 'ebb', name: 'candidates_7' },
    mayCreateThere: true,
    ...overrides,
  }
}

export function viewSituation(overrides: Partial<ViewSituation> = {}): ViewSituation {
  return {
    server: server(),
    journalSchema: 'ebb',
    table: table(),
    name: named('events_live'),
    existing: null,
    print: null,
    expired: null,
    condition: condition(),
    mayCreate: true,
    ...overrides,
  }
}

/** Rows younger than a day. */
export function viewRequest(overrides: Partial<ViewRequest> = {}): ViewRequest {
  return { hideMarked: null, expired: null, keep: { by: 'at', interval: DAY }, ...overrides }
}

export const ARCHIVE: ArchiveRequest = {
  uri: 'file:///var/archive',
  format: 'csv',
  compression: 'gzip',
  partBytes: 256e6,
  encryptTo: [],
}

/** The rows that a purge would delete. */
export function archiveSituation(overrides: Partial<ArchiveSituation> = {}): ArchiveSituation {
  const { server, table, predicate, leaves, condition } = purgeSituation()
  const [itself] = leaves
  if (itself === undefined) throw new Error('a table has a leaf')
  const none = { foreign: [], notReadBack: [], tooWide: false }
  return {
    server,
    journalSchema: 'ebb',
    table,
    itself,
    predicate,
    condition,
    ...none,
    rows: 1000,
    bytes: 1e6,
    ...overrides,
  }
}

export function archivedColumn(name: string, number: number, overrides: Partial<ArchivedColumn> = {}): ArchivedColumn {
  return { name, number, type: 'text', notNull: false, generated: false, ...overrides }
}

/** Two objects with rows of the table of models.ts. */
export function archived(overrides: Partial<ArchivedTable> = {}): ArchivedTable {
  const object = { rows: 500, bytes: 9_000, sha256: 'a1', contentBytes: 30_000, contentSha256: 'b2' }
  return {
    schema: 'public',
    name: 'events',
    oid: '16384',
    partitionOf: null,
    where: null,
    horizon: null,
    columns: [
      archivedColumn('id', 1, { type: 'bigint', notNull: true }),
      archivedColumn('at', 2, { type: 'timestamp with time zone', notNull: true }),
      archivedColumn('kind', 3),
    ],
    ddl: [],
    fingerprint: 'c3',
    key: { columns: ['id'], first: ['1'], last: ['1000'] },
    rows: 1_000,
    sha256: 'd4',
    objects: [
      { ...object, name: 'public.events-00001.csv.gz' },
      { ...object, name: 'public.events-00002.csv.gz' },
    ],
    ...overrides,
  }
}

export function tableToRestore(overrides: Partial<TableToRestore> = {}): TableToRestore {
  return {
    table: table(),
    set: null,
    beside: null,
    taken: new Set(),
    types: [],
    numbers: { id: 1, at: 2, kind: 3 },
    rights: { insert: true, update: true, createTemporary: true, rowsHidden: false },
    empty: false,
    archived: archived(),
    keptBy: null,
    predicate: null,
    condition: condition(),
    ...overrides,
  }
}

const RECEIPT: ReceiptFacts = {
  encoding: { format: 'csv', settings: {}, compression: 'gzip', encryption: null },
  sha256: 'e5',
  recorded: 'e5',
  unremoved: false,
}

/** Of one table. */
export function restoreSituation({
  receipt = RECEIPT,
  ...overrides
}: Partial<TableToRestore> & { readonly receipt?: ReceiptFacts } = {}): RestoreSituation {
  return { server: server(), journalSchema: 'ebb', receipt, tables: [tableToRestore(overrides)] }
}

export function newTableSituation(overrides: Partial<NewTable> = {}): NewTable {
  const to = { archived: archived(), keptBy: null, predicate: null, types: [] }
  return {
    server: server(),
    journalSchema: 'ebb',
    receipt: RECEIPT,
    to,
    into: named('back'),
    lacking: [],
    ...overrides,
  }
}

export function restoreRequest(overrides: Partial<RestoreRequest> = {}): RestoreRequest {
  return {
    receipt: 'file:///archive/receipt.json',
    archived: named('events'),
    where: null,
    onConflict: 'keep',
    attach: false,
    hold: null,
    accept: [],
    ...overrides,
  }
}
