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
  readonly steps: readonly SavedStep[]
}

export interface SavedStep {
  readonly key: string
  readonly title: string
  readonly sha256: string
}

/** What is saved of a plan without objections. */
export function savedPlan({ steps }: Plan, circumstances: Omit<SavedPlan, 'type' | 'format' | 'steps'>): SavedPlan {
  const of = steps.map((step) => ({ key: step.key, title: step.title, sha256: digestOf(step) }))
  return { type: 'ebb plan', format: SAVED_FORMAT, ...circumstances, steps: of }
}

/** What is planned now and was not then, and the reverse; empty where both are the same. Sizes and estimates may differ. */
export function differences(saved: SavedPlan, now: SavedPlan): string[] {
  const of = ({ system, database, table, command }: SavedPlan) => ({ system, database, table, command })
  if (canonicalJson(of(saved)) !== canonicalJson(of(now)))
    return [`it is of ebb ${saved.command} for ${saved.table.schema}.${saved.table.name} in database ${saved.database}`]
  if (canonicalJson(saved.request) !== canonicalJson(now.request)) return ['it was made with other options']
  return [
    ...(saved.definition === now.definition ? [] : ['the definition of the table has changed']),
    ...changedSteps(saved, now),
  ]
}

/** A condition may have been written in several lines. */
function inLine(title: string): string {
  return title.replace(/\s*\n\s*/g, ' ')
}

function changedSteps(saved: SavedPlan, now: SavedPlan): string[] {
  const before = new Map(saved.steps.map((step) => [step.key, step]))
  const after = new Map(now.steps.map((step) => [step.key, step]))
  return [
    ...saved.steps.filter(({ key }) => !after.has(key)).map(({ title }) => `no longer planned: ${inLine(title)}`),
    ...now.steps.flatMap(({ key, title, sha256 }) => {
      const was = before.get(key)
      if (was === undefined) return [`planned in addition: ${inLine(title)}`]
      return was.sha256 === sha256 ? [] : [`planned otherwise: ${inLine(title)}`]
    }),
  ]
}

/** Of what is shown and would be executed, without sizes and estimates. */
function digestOf({ key, kind, locks, statements }: Step): string {
  return createHash('sha256')
    .update(canonicalJson(toStored({ key, kind, locks, statements })))
    .digest('hex')
}
