import type { Keeping, LeftOutReference } from '../../catalog/references/left-out.ts'
import { display } from '../../sql/names.ts'
import { putBack, putUnder } from '../../sql/condition-settings.ts'
import { literal } from '../../sql/sql.ts'
import type { ArchiveRequest } from '../archive/request.ts'
import { objection, when } from '../language/objection.ts'
import type { RebuildPlan } from './summary.ts'
import type { Objection, OnlineStep, Step } from '../language/step.ts'

// Rows that a copy leaves out may have rows elsewhere that refer to them. After
// the swap these could not be validated, and there would be no way on: so it is
// an objection where it is seen, and is asked once more right before the swap.

/** What is copied only in part; null where all rows are kept, or there are objections already. */
export function keepingOf({ rebuild }: RebuildPlan): Keeping | null {
  if (rebuild === null || rebuild.forward.keep === null) return null
  const { source, keep, settings } = rebuild.forward
  return { source, keep, settings }
}

/** What is to become of the rows left out; part of the request of each command that copies. */
export interface LeftOutRequest {
  /** They go for good: there is no archive. */
  readonly noArchive: boolean
  /** Where they are archived after the swap; undefined where they are not. */
  readonly archive?: ArchiveRequest
}

/** That rows are left out for good, unless they are archived or that is accepted. */
export function leftOutObjections({
  keep,
  noArchive,
  archive,
}: LeftOutRequest & { readonly keep: unknown }): Objection[] {
  return when(keep !== null && !noArchive && archive === undefined, () =>
    objection(
      'archive',
      'the rows left out would be deleted without an archive, by `ebb retire`',
      'Pass --archive <uri>; or --no-archive if they are no longer needed.',
    ),
  )
}

/** The plan with what stands against it, or with the steps that make sure of it. Pure. */
export function withReferences<Copy extends RebuildPlan>(
  plan: Copy,
  keeping: Keeping,
  references: readonly LeftOutReference[],
): Copy {
  const objections = references.filter(({ found }) => found === 'some').map((one) => referred(one, keeping))
  if (objections.length > 0)
    return { ...plan, steps: [], rebuild: null, objections: [...plan.objections, ...objections] }
  const unknown = references.filter(({ found }) => found === 'unknown').map(notKnown)
  const steps = plan.steps.flatMap((step): Step[] =>
    step.kind === 'swap' ? [...references.map((one) => askAgain(one, keeping)), step] : [step],
  )
  return { ...plan, steps, notes: [...plan.notes, ...unknown] }
}

function referred({ from, name }: LeftOutReference, { source }: Keeping): Objection {
  return {
    code: `referred:${display(from)}.${name}`,
    what: `rows of ${display(from)} refer to rows of ${display(source)} that would be left out (${name})`,
    fix: `Keep those they refer to, or remove the rows of ${display(from)} first; or delete both in batches, by ebb purge with --cascade.`,
    acceptable: false,
  }
}

function notKnown({ from, name }: LeftOutReference): string {
  return `whether rows of ${display(from)} refer to rows that are left out (${name}) could not be told in a few seconds; it is looked for before the swap, and where there are any, the run stops and can be abandoned`
}

/** Names neither rows nor values, as no message does. */
function askAgain({ from, name, query }: LeftOutReference, { source, settings }: Keeping): OnlineStep {
  const message = `rows of ${display(from)} refer to rows that are left out (${name})`
  const body = `begin if exists (${query}) then raise foreign_key_violation using message = ${literal(message).text}; end if; end`
  return {
    kind: 'online',
    key: `referred:${display(from)}.${name}`,
    title: `make sure that no row of ${display(from)} refers to one that is left out`,
    because: `${name} could not be validated after the swap`,
    locks: [...new Map([from, source].map((table) => [display(table), table])).values()].map(
      (table) => ({ table, mode: 'ACCESS SHARE', blocks: 'nothing', held: 'all along' }) as const,
    ),
    cost: `reads ${display(from)} once`,
    statements: [...putUnder(settings), `do ${literal(body).text}`, ...putBack(settings)],
  }
}
