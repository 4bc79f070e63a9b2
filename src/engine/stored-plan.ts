import { createHash } from 'node:crypto'
import { inSnapshot } from '../db/session.ts'
import { EbbError, NOTHING_CHANGED } from '../errors.ts'
import { doneSteps, type NewRun, type Run } from '../journal/journal.ts'
import { intervalText } from '../plan/language/moment.ts'
import type { Plan, Step } from '../plan/language/step.ts'
import { canonicalJson, fromStored, toStored } from '../plan/language/stored.ts'
import { assertPlain } from '../sql/plain.ts'
import { display, type TableName } from '../sql/names.ts'
import type { AnyCommand, StorablePlan } from './command.ts'
import type { TableContext } from './table-context.ts'

// Plans in the journal are data, and no authority. What is kept of one is the
// situation that it was made from; its steps, with their SQL, are made from
// that again when a run goes on, and text that was stored is never executed:
//
//   - the steps are those that were agreed to, by their digest: another version of Ebb may make others;
//   - before the tables change places, everything that a situation says of the database must be what the catalogue says;
//   - afterwards it cannot be, but what is left to do then is so plain that its grammar tells that it executes nothing else.
//
// Of what was stored for people, and of what later commands need to know, names alone are used, as identifiers.

/** To be raised when a situation can no longer be read as it was written. Format 1 had steps with SQL, 2 other names of things, 3 no columns of foreign keys. */
export const FORMAT = 4

/** The plan as it will be made from the stored situation, and what is to be stored. */
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

/** What people, and later runs, may know of it. */
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

/** Of what is executed; what is only shown may be put in other words. */
export function digestOf(steps: readonly Step[]): string {
  const executed = steps.map(({ title: _title, because: _because, locks: _locks, cost: _cost, ...step }) => step)
  return createHash('sha256')
    .update(canonicalJson(toStored(executed)))
    .digest('hex')
}

/**
 * The plan of an unfinished run, to be shown.
 *
 * @throws {EbbError} when this version cannot make it from what was stored
 */
export function planOf(command: AnyCommand, run: Run): StorablePlan {
  if (run.format !== FORMAT) throw otherFormat(run)
  const plan = command.plan(fromStored(run.situation), fromStored(run.request))
  if (digestOf(plan.steps) !== run.digest) throw otherSteps(run)
  return plan
}

/**
 * The plan of an unfinished run, to be carried out.
 *
 * @throws {EbbError} when this version cannot make it, or it does not fit the database
 */
export async function verifiedPlan(context: TableContext, command: AnyCommand, run: Run): Promise<StorablePlan> {
  const { session, journalSchema, server } = context
  const plan = planOf(command, run)
  const done = await doneSteps(session, journalSchema, run.id)
  const left = plan.steps.filter(({ key }) => !done.has(key))
  if (SWAPS.some((key) => done.has(key))) await assertPlain(left.flatMap(({ statements }) => statements))
  else
    await inSnapshot(session, () =>
      command.verify(
        { session, server, options: context },
        run.table,
        fromStored(run.situation),
        fromStored(run.request),
      ),
    )
  return plan
}

/**
 * Of a plan that can be made anew from the database: it must be the one that was agreed to.
 *
 * @throws {EbbError} when it is not
 */
export function assertSameSteps(table: TableName, agreed: Plan, again: Plan): void {
  if (digestOf(agreed.steps) === digestOf(again.steps)) return
  throw new EbbError(
    `${display(table)} has changed since the plan was made${again.objections.map(({ what }) => `: ${what}`).join('')}`,
    {
      state: NOTHING_CHANGED,
      next: 'Undo the change; or take back what was done with ebb abandon, and start again.',
    },
  )
}

/** The steps from which on a table is another one. */
export const SWAPS = ['swap', 'swap-back']

/** Written by another version, or by somebody else. */
function otherFormat({ id, command, table, format }: Run): EbbError {
  const newer = format > FORMAT
  return new EbbError(
    `the plan of run ${id} (ebb ${command} ${display(table)}) is stored in format ${format}, and this version carries out format ${FORMAT}`,
    {
      state: NOTHING_CHANGED,
      next: newer
        ? 'Use the version that began it, or a later one.'
        : `End it with ebb abandon ${id}: preparations are taken back; rows that are gone, and tables that have changed places, stay so. Then run the command again if something is left to do.`,
    },
    'objections',
  )
}

function otherSteps({ id, command, table }: Run): EbbError {
  return new EbbError(
    `from what is stored of run ${id} (ebb ${command} ${display(table)}) this version would make other steps than those that were agreed to`,
    {
      state: NOTHING_CHANGED,
      next: `Go on with the version that began it, or give it up with ebb abandon ${id} and run the command again.`,
    },
    'objections',
  )
}
