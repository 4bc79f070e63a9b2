import { display, quoted, type TableName } from '../../sql/names.ts'
import { dropTable } from '../../sql/drop-table.ts'
import { sql } from '../../sql/sql.ts'
import { abandonment } from '../language/abandonment.ts'
import { dropHelpers } from './capture.ts'
import { exclusive, lockExclusively } from '../language/locks.ts'
import type { RebuildSummary } from './summary.ts'
import { online } from '../table/shadow.ts'
import { neighbours } from '../table/aside.ts'
import type { ShortLockStep, OnlineStep, Plan, Step } from '../language/step.ts'
import { plan, release, shortLock } from './release.ts'

// A copy that is given up: before the swap what it has put beside the table is taken away, after it the run ends as it is.

/** Takes back what an unfinished rebuild has put beside the table. */
export function planAbandonRebuild(
  runId: string,
  rebuild: RebuildSummary,
  present: TableName | null,
  done: ReadonlySet<string>,
  shadowOid: string | null,
): Plan {
  const evidence = 'the table itself has not been touched: only what was put beside it is taken away'
  return abandonment(runId, rebuild.original.name, evidence, abandonSteps(rebuild, present, done, shadowOid))
}

/**
 * The steps of that; each may find nothing to undo. `present` is what the table is called now; null when it is gone.
 * `done` tells whether the shadow is ours: before its step, a user may have created a table of that name. After it, it has
 * this oid; null for a run of an earlier version.
 */
export function abandonSteps(
  rebuild: RebuildSummary,
  present: TableName | null,
  done: ReadonlySet<string>,
  shadowOid: string | null,
): (ShortLockStep | OnlineStep)[] {
  const { forward, back } = rebuild
  return [
    // First, for it takes most room.
    ...(done.has('shadow') ? [dropShadow(rebuild, present, shadowOid)] : []),
    // Before the capture has begun there is nothing on the table that a lock would have to be waited for.
    ...(present === null || !done.has('capture')
      ? []
      : [release('abandon:capture', { ...forward.capture, table: present })]),
    online('abandon:logs', 'drop the logs', 'they are no longer needed', 'milliseconds', [
      ...dropHelpers(forward.capture),
      ...dropHelpers(back.capture),
    ]),
  ]
}

/** Its foreign keys, once it has them, have triggers on the tables that they refer to: those are locked, too. */
function dropShadow(
  { original, shadow, sourceOid }: RebuildSummary,
  present: TableName | null,
  oid: string | null,
): ShortLockStep {
  const source = { name: present ?? original.name, oid: sourceOid }
  const referenced = neighbours({ ...original, inboundForeignKeys: [] })
  return shortLock(
    'abandon:shadow',
    `drop ${display(shadow)}`,
    'it is no longer needed, and its disk space is freed',
    [shadow, ...referenced].map(exclusive),
    referenced.map(lockExclusively),
    [oid === null ? sql`drop table if exists ${quoted(shadow)}`.text : dropTable({ name: shadow, oid }, source)],
  )
}

/**
 * Ends a run that has swapped its tables and cannot be resumed; `rebuild` is what it copied.
 * The steps that it has not done are listed.
 */
export function planLeaving(
  runId: string,
  table: TableName,
  undone: readonly string[],
  rebuild: RebuildSummary | null,
): Plan {
  const steps =
    rebuild === null
      ? []
      : [
          online(
            'abandon:release',
            'drop the log of the copy',
            'nothing writes to it any more',
            'milliseconds',
            dropHelpers(rebuild.forward.capture),
          ),
        ]
  const evidence = [
    'the tables have changed places already, and that stays; it can be rolled back',
    ...undone.map((title) => `not done: ${title}`),
  ]
  return plan(`end run ${runId} on ${display(table)} where it is`, table, evidence, [], steps)
}

/**
 * Ends a run after its swap without the foreign keys `unproven`, whose rows cannot be validated, and without its archive;
 * the rest is finished.
 */
export function planFinishing(
  runId: string,
  table: TableName,
  unproven: readonly string[],
  unarchived: boolean,
  steps: readonly Step[],
): Plan {
  const evidence = [
    'the tables have changed places already, and that stays',
    ...(unproven.length === 0 ? [] : [UNPROVEN, ...unproven.map((title) => `not done: ${title}`)]),
    ...(unarchived
      ? [`the rows left out are not archived yet: ebb retire ${runId} does that before it drops them`]
      : []),
  ]
  const without = [
    ...(unproven.length === 0 ? [] : ['validating its foreign keys']),
    ...(unarchived ? ['archiving the rows left out'] : []),
  ]
  const goal = `end run ${runId} on ${display(table)} without ${without.join(' and ')}`
  return plan(goal, table, evidence, [], steps)
}

const UNPROVEN =
  'foreign keys that were not validated stay NOT VALID: new rows are checked, rows that refer to nothing stay'
