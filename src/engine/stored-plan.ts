import { patiently } from './locks/patiently.ts'
import { createHash } from 'node:crypto'
import type { Session } from '../db/session.ts'
import { inSnapshot } from '../db/transaction.ts'
import { EbbError, NOTHING_CHANGED } from '../errors.ts'
import { doneSteps, type NewRun, type Run } from '../journal/journal.ts'
import { intervalText } from '../plan/language/moment.ts'
import type { ArchiveStep, Plan, Step } from '../plan/language/step.ts'
import { canonicalJson, fromStored, toStored } from '../plan/language/stored.ts'
import { assertPlain } from '../sql/plain.ts'
import { display, type TableName } from '../sql/names.ts'
import { parsePredicate } from '../sql/predicate.ts'
import type { AnyCommand, StorablePlan } from './command.ts'
import { assertHarmless } from './found-again.ts'
import type { TableContext } from './table-context.ts'

// Plans in the journal are data, not code. A plan is stored as the situation it was made from; its steps, with their
// SQL, are made from that again when a run is resumed, and stored text is never executed:
//
//   - the digest proves that the steps are those the run was started with: another version of Ebb may make others;
//   - before the swap, everything a situation says about the database must match the catalogue;
//   - after it that is impossible, but the remaining statements are so plain that parsing shows that they execute
//     nothing else.
//
// Of the text stored for display or for later commands, only names are used, as identifiers.

/**
 * To be raised when a situation or a request can no longer be read as it was written. Format 1 had steps with SQL, 2
 * other names of things, 3 no columns of foreign keys, 4 an empty condition where a candidate set or stale groups
 * selected the rows.
 */
export const FORMAT = 5

/** The plan as it will be made from the stored situation, and what to store. */
export function storable(
  command: AnyCommand,
  request: unknown,
  situation: unknown,
): {
  readonly plan: StorablePlan
  readonly stored: Omit<NewRun, 'command' | 'table' | 'request' | 'version'>
} {
  const kept = toStored(situation)
  const plan = command.plan(fromStored(kept), request)
  const { rebuild = null } = plan
  const stored = {
    format: FORMAT,
    situation: kept,
    digest: digestOf(plan.steps),
    stepCount: plan.steps.length,
    plan: toStored(withoutSql(plan)),
    retired: rebuild === null ? null : { oid: rebuild.sourceOid, name: rebuild.retired },
    retireAfter: rebuild === null || rebuild.retireAfter === null ? null : intervalText(rebuild.retireAfter),
  }
  return { plan, stored }
}

/** For display and for later runs. */
function withoutSql(plan: Plan): Plan & { readonly purge?: null } {
  const steps = plan.steps.map((step): object => {
    const { kind, key, title, because, locks, cost } = step
    return {
      kind,
      key,
      title,
      because,
      locks,
      cost,
      statements: [],
      ...(step.kind === 'swap' ? { after: step.after } : {}),
    }
  })
  return { ...plan, steps: steps as Step[], ...('purge' in plan ? { purge: null } : {}) }
}

/** Of the executed parts only; displayed text may change. */
export function digestOf(steps: readonly Step[]): string {
  const executed = steps.map(({ title: _title, because: _because, locks: _locks, cost: _cost, ...step }) => step)
  return createHash('sha256')
    .update(canonicalJson(toStored(executed)))
    .digest('hex')
}

/**
 * The plan of an unfinished run, for display.
 *
 * @throws {EbbError} if this version cannot make it from the stored situation
 */
export function planOf(command: AnyCommand, run: Run): StorablePlan {
  assertFormat(run)
  const plan = command.plan(fromStored(run.situation), fromStored(run.request))
  if (digestOf(plan.steps) !== run.digest) throw otherSteps(run)
  return plan
}

/**
 * The plan of an unfinished run, for execution.
 *
 * @throws {EbbError} if this version cannot make it, or it does not match the database
 */
export async function verifiedPlan(context: TableContext, command: AnyCommand, run: Run): Promise<StorablePlan> {
  const { session, journalSchema, server } = context
  const plan = planOf(command, run)
  const done = await doneSteps(session, journalSchema, run.id)
  const left = plan.steps.filter(({ key }) => !done.has(key))
  if (SWAPS.some((key) => done.has(key))) await assertLittle(session, left)
  else
    await patiently(session, { ...context, observer: (event) => context.observer({ ...event, runId: run.id }) }, () =>
      inSnapshot(session, () =>
        command.verify(
          { session, server, options: context },
          run.table,
          fromStored(run.situation),
          fromStored(run.request),
        ),
      ),
    )
  return plan
}

/**
 * Checks what is left after a swap: plain statements, and an archive whose condition has no side effects.
 *
 * @throws {EbbError} if it is more
 */
async function assertLittle(session: Session, steps: readonly Step[]): Promise<void> {
  await assertPlain(steps.flatMap((step) => (step.kind === 'archive' ? [] : step.statements)))
  for (const step of steps) if (step.kind === 'archive') await assertReadsOnly(session, step)
}

/**
 * Checks that the condition of an archive is one expression without side effects.
 *
 * @throws {EbbError} if it is not
 */
export async function assertReadsOnly(session: Session, { work: { rows } }: ArchiveStep): Promise<void> {
  if (rows.where === null) return
  const predicate = await parsePredicate(rows.where, '')
  await inSnapshot(session, () => assertHarmless(session, rows.table, predicate))
}

/**
 * For a plan that can be made again from the database: it must be the one the run was started with.
 *
 * @throws {EbbError} when it is not
 */
export function assertSameSteps(table: TableName, agreed: Plan, again: Plan): void {
  if (digestOf(agreed.steps) === digestOf(again.steps)) return
  throw new EbbError(
    `${display(table)} has changed since the plan was made${again.objections.map(({ what }) => `: ${what}`).join('')}`,
    {
      state: NOTHING_CHANGED,
      next: 'Undo the change; or undo the run with ebb abandon, and start again.',
    },
  )
}

/** The steps after which the table is a different one. */
export const SWAPS = ['swap', 'swap-back']

/**
 * Otherwise neither its situation nor its request can be read, nor compared.
 *
 * @throws {EbbError} if it was written by another version, or by someone else
 */
export function assertFormat({ id, command, table, format }: Run): void {
  if (format === FORMAT) return
  const newer = format > FORMAT
  throw new EbbError(
    `the plan of run ${id} (ebb ${command} ${display(table)}) is stored in format ${format}; this version executes format ${FORMAT}`,
    {
      state: NOTHING_CHANGED,
      next: newer
        ? 'Use the version that started it or a later one.'
        : `End it with ebb abandon ${id}: preparations are undone; deleted rows and swapped tables stay as they are. Then run the command again if something is left to do.`,
    },
    'objections',
  )
}

function otherSteps({ id, command, table }: Run): EbbError {
  return new EbbError(
    `this version would plan other steps for run ${id} (ebb ${command} ${display(table)}) than those it was started with`,
    {
      state: NOTHING_CHANGED,
      next: `Resume it with the version that started it, or end it with ebb abandon ${id} and run the command again.`,
    },
    'objections',
  )
}
