import { describe, expect, test } from 'vitest'
import { digestOf } from '../../src/engine/stored-plan.ts'
import { planArchive } from '../../src/plan/archive/archive.ts'
import { explain } from '../../src/plan/explain/explain.ts'
import { planAbandonRebuild, planLeaving } from '../../src/plan/copy/abandon.ts'
import { planRebuildRollback, planSplitRollback } from '../../src/plan/copy/rollback.ts'
import { planRetire } from '../../src/plan/copy/retire.ts'
import { planRebuild } from '../../src/plan/copy/rebuild.ts'
import { planAbandon } from '../../src/plan/partition/abandon.ts'
import { planPartitionByCopy } from '../../src/plan/partition/partition-copy.ts'
import { planPartition } from '../../src/plan/partition/partition.ts'
import { planRollback } from '../../src/plan/partition/rollback.ts'
import { planCandidates } from '../../src/plan/purge/candidates.ts'
import { planMark } from '../../src/plan/purge/mark.ts'
import { planPurge } from '../../src/plan/purge/purge.ts'
import { planSplit } from '../../src/plan/split/split.ts'
import { assertDistinctKeys, type Plan, type Step } from '../../src/plan/language/step.ts'
import { fromStored, toStored } from '../../src/plan/language/stored.ts'
import { planRotation } from '../../src/plan/rotate/rotate.ts'
import { planNewTable } from '../../src/plan/restore/new-table.ts'
import { planRestore } from '../../src/plan/restore/restore.ts'
import { planView } from '../../src/plan/view/view.ts'
import { named, server, table } from '../support/models.ts'
import { partitions, request as rotateRequest, setOf, situation as rotationSituation } from './rotate-support.ts'
import {
  ARCHIVE,
  archiveSituation,
  archivedPurgeRequest,
  archivedPurgeSituation,
  recordedPurgeSituation,
  BY_TIME,
  candidateSituation,
  converted,
  copyRequest,
  copySituation,
  FURNISHED,
  kept,
  markIn,
  markRequest,
  markSituation,
  partitionRequest,
  partitionSituation,
  purgeRequest,
  purgeSituation,
  rebuildRequest,
  rebuildSituation,
  rebuilt,
  newTableSituation,
  restoreRequest,
  restoreSituation,
  splitBack,
  splitRequest,
  splitSituation,
  viewRequest,
  viewSituation,
} from './support/situations.ts'

// What is true of every plan, here of a table with one of everything.

const rebuild = rebuilt({ table: FURNISHED })
const back = {
  runId: '7',
  rebuild,
  current: FURNISHED,
  retired: rebuild.retired,
  gaps: [],
  partitions: [],
  removed: [],
  taken: new Set<string>(),
  server: server(),
}

const rotation = rotationSituation(
  setOf(partitions('2026-01-01', '2026-02-01', '2026-03-01', '2026-04-01')),
  '2026-05-15',
)
const backFromSplit = splitBack(table({ indexes: [BY_TIME.index], constraints: [BY_TIME.constraint] }))

const MOVABLE = {
  wrapper: 'postgres_fdw',
  servers: ['cold'],
  usage: true,
  isMapped: true,
  isBounded: true,
  unmapped: [],
  uniqueIndexes: [],
  constraintTriggers: [],
}

const PLANS: readonly [string, Plan][] = [
  ['partition', planPartition(partitionSituation({ table: FURNISHED }), partitionRequest())],
  ['partition, with another primary key', planPartition(partitionSituation({ table: table() }), partitionRequest())],
  ['partition --copy', planPartitionByCopy(copySituation({ table: FURNISHED }), copyRequest())],
  ['rebuild', planRebuild(rebuildSituation({ table: FURNISHED }), rebuildRequest())],
  ['split', planSplit(splitSituation(), splitRequest())],
  ['purge', planPurge(purgeSituation(), purgeRequest())],
  ['purge --archive', planPurge(archivedPurgeSituation(), archivedPurgeRequest())],
  ['purge --archive of an earlier version', planPurge(recordedPurgeSituation(), archivedPurgeRequest())],
  ['mark', planMark(markSituation(), markRequest(), markIn('boolean'))],
  ['candidates', planCandidates(candidateSituation(), { where: 'true' })],
  ['archive', planArchive(archiveSituation(), { where: 'at < now()', to: ARCHIVE })],
  ['view', planView(viewSituation(), viewRequest())],
  ['restore', planRestore(restoreSituation(), restoreRequest())],
  ['restore into a new table', planNewTable(newTableSituation(), restoreRequest())],
  ['rotate', planRotation(rotation, rotateRequest())],
  [
    'rotate --retire move',
    planRotation({ ...rotation, moveFacts: MOVABLE }, rotateRequest({ retire: 'move', to: 'cold' })),
  ],
  [
    'rotate --retire columnar',
    planRotation(
      { ...rotation, columnarFacts: { isThere: true, indexes: [], afterTriggers: [] } },
      rotateRequest({ retire: 'columnar' }),
    ),
  ],
  ['rollback of a conversion', planRollback(converted())],
  ['rollback of a rebuild', planRebuildRollback(back)],
  ['rollback of a split', planSplitRollback(backFromSplit.situation, backFromSplit.split)],
  ['retire', planRetire('7', rebuild, kept(rebuild))],
  ['rebuild --archive', planRebuild(rebuildSituation({ table: FURNISHED }), { ...rebuildRequest(), archive: ARCHIVE })],
  ['abandon a conversion', planAbandon('7', { table: named('events'), guard: 'bound', index: named('key') })],
  ['abandon a copy', planAbandonRebuild('7', rebuild, named('events'), new Set(['shadow', 'capture']), '16401')],
  ['leave a copy', planLeaving('7', named('events'), [], rebuild)],
]

/** Loops around SQL, with decisions in between: psql is kept from running what comes after. */
const BEYOND_SQL: readonly Step['kind'][] = [
  'copy',
  'reconcile',
  'verify',
  'purge',
  'check',
  'archive',
  'archive set',
  'move',
  'removal',
  'restore',
  'rewrite',
]

describe.each(PLANS)('%s', (_, plan) => {
  test('has steps with unique keys', () => {
    expect(plan.objections).toEqual([])
    expect(plan.steps).not.toEqual([])
    assertDistinctKeys(plan.steps)
  })

  test('is a script with every statement of every step', () => {
    const script = explain(plan, { command: 'ebb …' })

    for (const { kind, statements, title } of plan.steps) {
      expect(script).toContain(title)
      if (!BEYOND_SQL.includes(kind)) for (const statement of statements) expect(script).toContain(`${statement};`)
    }
  })

  test('stops psql before a step that SQL cannot do', () => {
    const beyond = plan.steps.some((step) => BEYOND_SQL.includes(step.kind))

    expect(explain(plan, { command: 'ebb …' }).includes('do $$ begin raise exception')).toBe(beyond)
  })

  test('is the same after storage in the journal', () => {
    const again = fromStored(toStored(plan) as Plan)

    expect(again).toEqual(plan)
    expect(digestOf(again.steps)).toBe(digestOf(plan.steps))
  })

  test('blocks only for milliseconds, under locks that are retried or supervised', () => {
    for (const { kind, locks, cost } of plan.steps) {
      const blocking = locks.filter(({ blocks }) => blocks !== 'nothing')
      if (blocking.length > 0) expect(['short lock', 'swap', 'detach']).toContain(kind)
      const longer = blocking.filter(({ held }) => held !== 'milliseconds')
      // While the rows of a partition are counted that was rewritten in columns; the plan says for how long.
      if (cost.includes('10 s at most')) expect(longer.map(({ blocks }) => blocks)).toEqual(['writes'])
      else expect(longer).toEqual([])
    }
  })
})

test('together they cover every kind of step', () => {
  const all: Record<Step['kind'], true> = {
    detach: true,
    'dry run': true,
    index: true,
    'drop index': true,
    copy: true,
    reconcile: true,
    verify: true,
    purge: true,
    vacuum: true,
    check: true,
    'archive set': true,
    removal: true,
    alone: true,
    online: true,
    'short lock': true,
    swap: true,
    archive: true,
    move: true,
    rewrite: true,
    restore: true,
  }
  const seen = new Set(PLANS.flatMap(([, { steps }]) => steps.map(({ kind }) => kind)))

  expect([...seen].sort()).toEqual(Object.keys(all).sort())
})
