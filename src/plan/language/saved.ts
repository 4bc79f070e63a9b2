import { createHash } from 'node:crypto'
import type { TableName } from '../../sql/names.ts'
import { canonicalJson, toStored } from './stored.ts'
import type { Plan, Step } from './step.ts'

// A plan in a file: what was planned, of what, and digests of its steps. Nothing in it is executed. The command plans
// again, as of the same moment and with the same names, and what it plans has to be what the file says.

/** To be raised when a plan of an earlier file could no longer be compared. */
export const SAVED_FORMAT = 1

/** A saved plan. */
export interface SavedPlan {
  readonly type: 'ebb plan'
  readonly format: typeof SAVED_FORMAT
  /** Of Ebb. */
  readonly version: string
  /** Identifies the cluster; null where the role may not read it. */
  readonly system: string | null
  readonly database: string
  readonly table: TableName & { readonly oid: string }
  /** Digest of its columns, constraints, indexes, triggers, rules and policies. */
  readonly definition: string
  readonly command: string
  /** As the journal has it. */
  readonly request: unknown
  /** The server's clock when it was planned: microseconds since the epoch. */
  readonly now: string
  /** Part of the names of what the run creates. */
  readonly suffix: string
  /** What else the plan was made from, by what it is called. */
  readonly besides?: Readonly<Record<string, string>>
  readonly steps: readonly SavedStep[]
}

export interface SavedStep {
  readonly key: string
  readonly title: string
  readonly sha256: string
}

/** The plans of a command that makes several. */
export interface SavedPlans {
  readonly type: 'ebb plans'
  readonly format: typeof SAVED_FORMAT
  readonly plans: readonly SavedPlan[]
}

export function savedPlans(plans: readonly SavedPlan[]): SavedPlans {
  return { type: 'ebb plans', format: SAVED_FORMAT, plans }
}

/** What is saved of a plan without objections. */
export function savedPlan(
  { steps }: Pick<Plan, 'steps'>,
  circumstances: Omit<SavedPlan, 'type' | 'format' | 'steps'>,
): SavedPlan {
  const of = steps.map((step) => ({ key: step.key, title: step.title, sha256: digestOf(step) }))
  return { type: 'ebb plan', format: SAVED_FORMAT, ...circumstances, steps: of }
}

/** What is planned now and was not then, and the reverse; empty where both are the same. Sizes and estimates may differ. */
export function differences(saved: SavedPlan, now: SavedPlan): string[] {
  const { other, gone, added, changed } = compareSaved(saved, now)
  return [
    ...other,
    ...gone.map(({ title }) => `no longer planned: ${inLine(title)}`),
    ...added.map(({ title }) => `planned in addition: ${inLine(title)}`),
    ...changed.map(({ title }) => `planned otherwise: ${inLine(title)}`),
  ]
}

/** Two saved plans, compared. */
export interface Comparison {
  /** In words. */
  readonly other: readonly string[]
  readonly gone: readonly SavedStep[]
  readonly added: readonly SavedStep[]
  readonly changed: readonly SavedStep[]
}

/** What differs besides the steps comes alone where it says that the plan is of something else. */
export function compareSaved(saved: SavedPlan, now: SavedPlan): Comparison {
  const of = ({ system, database, table, command }: SavedPlan) => ({ system, database, table, command })
  if (canonicalJson(of(saved)) !== canonicalJson(of(now)))
    return only(
      `it is of ebb ${saved.command} for ${saved.table.schema}.${saved.table.name} in database ${saved.database}`,
    )
  if (canonicalJson(saved.request) !== canonicalJson(now.request)) return only('it was made with other options')
  return {
    other: [
      ...(saved.definition === now.definition ? [] : ['the definition of the table has changed']),
      ...changedBesides(saved.besides ?? {}, now.besides ?? {}),
    ],
    ...compareSteps(saved.steps, now.steps),
  }
}

function only(other: string): Comparison {
  return { other: [other], gone: [], added: [], changed: [] }
}

/** What only one of them has belongs to a step that only one of them has. */
function changedBesides(saved: NonNullable<SavedPlan['besides']>, now: NonNullable<SavedPlan['besides']>): string[] {
  return Object.keys(saved).flatMap((what) =>
    now[what] === undefined || now[what] === saved[what] ? [] : [`${what} has changed`],
  )
}

/** A condition may have been written in several lines. */
export function inLine(title: string): string {
  return title.replace(/\s*\n\s*/g, ' ')
}

function compareSteps(saved: readonly SavedStep[], now: readonly SavedStep[]): Omit<Comparison, 'other'> {
  const before = new Map(saved.map((step) => [step.key, step]))
  const after = new Map(now.map((step) => [step.key, step]))
  return {
    gone: saved.filter(({ key }) => !after.has(key)),
    added: now.filter(({ key }) => !before.has(key)),
    changed: now.filter(({ key, sha256 }) => before.has(key) && before.get(key)?.sha256 !== sha256),
  }
}

/** Of what is shown and would be executed, without sizes and estimates. */
function digestOf({ key, kind, locks, statements }: Step): string {
  return createHash('sha256')
    .update(canonicalJson(toStored({ key, kind, locks, statements })))
    .digest('hex')
}
