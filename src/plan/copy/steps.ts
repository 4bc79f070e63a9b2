import { display, quoted, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { dropCapture, endCapture, prepareCapture, startCapture, type Capture } from './capture.ts'
import { validateInbound } from '../partition/conversion.ts'
import type { CopyWork, Jobs, Transport } from './work.ts'
import { swapOf } from '../table/aside.ts'
import { provenInbound, provenKeys } from '../table/constraint-triggers.ts'
import { make, setAside, type Leaving } from '../table/dependents.ts'
import { archiveLeftOut } from './left-out-archive.ts'
import type { RebuildSummary } from './summary.ts'
import { online, rename, type Shadow } from '../table/shadow.ts'
import type { AloneStep, ShortLockStep, Lock, OnlineStep, Step, SwapStep, VerifyStep } from '../language/step.ts'
import { keysOf, keysOnto, orphanCheck } from '../references/orphans.ts'
import { underPath } from '../table/user-code.ts'
import { NOT_ANALYZED, showAbout, showBytes, showDuration } from '../../text/units.ts'

/** How a copy is to be carried out, and what is known of its size. */
export interface CopyPlan {
  readonly rebuild: RebuildSummary
  readonly shadow: Shadow
  readonly role: string
  readonly keptRows: number | null
  readonly transport: Transport | 'auto'
  readonly jobs: Jobs
}

/**
 * The steps of every copy: capture, copy, reconcile, finish, verify, swap. What
 * makes it right is argued in docs/how-a-copy-is-right.md; in short: a row that
 * does not change is copied once, one that does is in the log and is set to its
 * present state, and in the moments before the swap it is written to both tables.
 */
export function copySteps(plan: CopyPlan): Step[] {
  const { rebuild, shadow } = plan
  const { original: table, forward, back, retired } = rebuild
  const place = display(table.name)
  return [
    ...orphanCheck(
      [...keysOf(table, provenKeys(table), forward.keep), ...keysOnto(table, provenInbound(table))],
      forward.settings,
    ),
    online(
      'shadow',
      `create ${display(shadow.name)}, with the columns of ${place}`,
      'the rows to keep are copied there',
      'milliseconds',
      [...shadow.create, ...prepareCapture(forward.capture)],
    ),
    beginCapture(forward.capture),
    copyStep(plan),
    {
      ...described(
        'reconcile-first',
        'apply captured changes, first pass',
        'in one join, before there are unique indexes',
      ),
      kind: 'reconcile',
      work: forward,
      pass: 'whole log at once',
    },
    ...shadow.finish.map((step) => underPath(step, table, forward.settings)),
    {
      ...described(
        'reconcile',
        'apply captured changes until the backlog is small',
        'what is left is caught up with right before the swap',
      ),
      kind: 'reconcile',
      work: forward,
      pass: 'until the log is short',
    },
    underPath(vacuumStep(shadow.name), table, forward.settings),
    verifyStep('compare both tables, row by row', forward, null, plan.jobs),
    online(
      'way-back',
      'prepare change capture for a rollback',
      'from the swap on, so that a roll-back loses nothing',
      'milliseconds',
      prepareCapture(back.capture),
    ),
    swapStep(plan),
    ...shadow.settle,
    ...provenInbound(table).map((inbound) => validateInbound(table.name, inbound)),
    online(
      'release',
      'drop the log of the copy',
      'nothing writes to it any more',
      'milliseconds',
      endCapture({ ...forward.capture, table: retired }),
    ),
    ...(table.statistics.length === 0 ? [] : [underPath(analyzeStatistics(table.name), table, forward.settings)]),
    // Last: a store that fails must not keep a foreign key from being validated.
    ...archiveLeftOut(rebuild, { name: retired, oid: rebuild.sourceOid }),
  ]
}

function vacuumStep(shadow: TableName): AloneStep {
  return {
    ...described(
      'vacuum',
      `vacuum and analyze ${display(shadow)}`,
      'its plans and its visibility map are ready when it takes over',
    ),
    kind: 'alone',
    // Workers would be for dead entries of indexes, and on 15 setting memory aside for them took 0.15 of 0.53 s.
    statements: [sql`vacuum (analyze, parallel 0) ${quoted(shadow)}`.text],
  }
}

// They came into being at the swap, after the shadow was analyzed.
function analyzeStatistics(table: TableName): OnlineStep {
  return online('analyze', `analyze ${display(table)}`, 'for its extended statistics', 'reads a sample', [
    sql`analyze ${quoted(table)}`.text,
  ])
}

function described(key: string, title: string, because: string) {
  return { key, title, because, locks: [] as Lock[], cost: 'blocks no other session', statements: [] as string[] }
}

/** `shared`: of the rows that the target may not have alone; null: of all. */
export function verifyStep(title: string, work: CopyWork, shared: string | null, jobs: Jobs): VerifyStep {
  const because = 'range by range of the key, each in a snapshot of its own, exact while the table is being written'
  return { ...described('verify', title, because), kind: 'verify', work, shared, jobs }
}

function beginCapture(capture: Capture): ShortLockStep {
  const { table } = capture
  return {
    kind: 'short lock',
    key: 'capture',
    title: `capture changes of ${display(table)}`,
    because: 'the key of each changed row goes into a log; about 3 µs a row',
    locks: [{ table, mode: 'SHARE ROW EXCLUSIVE', blocks: 'writes', held: 'milliseconds' }],
    cost: 'milliseconds',
    quiet: table,
    acquire: [sql`lock table ${quoted(table)} in share row exclusive mode`.text],
    statements: startCapture(capture),
  }
}

/** Cautious: a small machine copies rows heavy with jsonb at this pace. */
const COPIED_BYTES_PER_SECOND = 100_000_000

function copyStep({ rebuild: { original: table, forward: work }, keptRows, transport, jobs }: CopyPlan): Step {
  const bytes = table.size.heap + table.size.toast
  return {
    kind: 'copy',
    key: 'copy',
    title: keptRows === null ? `copy the rows (${NOT_ANALYZED})` : `copy ${showAbout(keptRows)}`,
    because:
      'in chunks, each under a short snapshot and recorded with its rows, so that a kill costs a chunk or two; chunks of blocks, or of an index where the kept rows are reached faster by it',
    locks: [{ table: table.name, mode: 'ACCESS SHARE', blocks: 'nothing', held: 'all along' }],
    cost: `reads ${showBytes(bytes)}, about ${showDuration(bytes / COPIED_BYTES_PER_SECOND)}`,
    statements: [
      `-- for each range of blocks\ninsert into ${quoted(work.target).text} (${work.columns}) select ${work.columns} from ${quoted(work.source).text} s where ctid >= … and ctid < … and ${work.keep === null ? 'true' : `(${work.keep})`}`,
    ],
    work,
    transport,
    jobs,
  }
}

function swapStep({ rebuild, shadow, role }: CopyPlan): SwapStep {
  const { original: table, retired, aside, forward, back } = rebuild
  // The retired table keeps neither triggers, which would fire as it is kept up to date for a rollback, nor foreign
  // keys, which would restrict changes of the referenced tables.
  const from: Leaving = { table, place: retired, names: aside, keepsForeignKeys: false }
  const { indexes, foreignKeys, leaves: parts } = shadow
  return {
    ...swapOf(table, aside, []),
    key: 'swap',
    title: `swap: ${display(shadow.name)} becomes ${display(table.name)}, ${display(table.name)} becomes ${display(retired)}`,
    because: 'it holds every row to keep, in its current state',
    statements: [
      rename(table.name, retired),
      ...dropCapture(forward.capture, retired),
      ...setAside(from),
      ...shadow.takePlace,
      ...make({ table, from, parts, role, indexes, foreignKeys }),
      ...startCapture(back.capture),
    ],
    after: shadow.after,
    ours: captureTriggers(rebuild),
    work: forward,
  }
}

/** The triggers of a copy's captures, which are no part of the table's facts. */
export function captureTriggers({ forward, back }: RebuildSummary): string[] {
  return [forward, back].flatMap(({ capture }) => [capture.trigger, capture.truncateTrigger])
}
