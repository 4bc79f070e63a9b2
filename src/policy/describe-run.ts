import { explainObjections } from '../plan/explain/explain.ts'
import { explain } from '../plan/explain/explain.ts'
import type { RetiredPartition } from '../engine/commands/rotate.ts'
import { explainRotation } from '../plan/explain/rotation.ts'
import { tellError } from '../report/error-text.ts'
import { indented } from '../report/partitioned.ts'
import { display } from '../sql/names.ts'
import { toText } from '../text/comment.ts'
import { showElapsed } from '../text/elapsed.ts'
import { plural, showBytes, showCount } from '../text/units.ts'
import { failuresOf, objectionsOf, outcomeOf, type Outcome } from './outcome.ts'
import type { PolicyPlan } from './plan-policies.ts'
import { isInterrupted, type PolicyReport, type RunReport } from './run-policies.ts'

/** What was done, table by table, and in the end all of it in a few lines. */
export function describeRun(report: RunReport, file: string, withValues: boolean): string[] {
  const { policies, ahead, gone, left, ended } = report
  const all = [...policies, ...ahead]
  return [
    ...all.flatMap((one) => describePolicy(one, withValues)),
    ...gone.map((name) => `${name}: its table no longer exists, so it is no longer rotated; take it out of ${file}`),
    '',
    summary(policies),
    ...NAMED.flatMap(([outcome, words]) =>
      named(
        words,
        all.filter((one) => outcomeOf(one) === outcome),
      ),
    ),
    ...(left.length === 0 ? [] : [`Not begun: ${left.join(', ')}`]),
    ...(ended === null ? [] : [`${ENDED[ended]}: what was done is kept, and the next run continues.`]),
  ]
}

const ENDED = { stopped: 'Stopped on request', 'time is up': 'The time is up' } as const

const NAMED: readonly (readonly [Outcome, string])[] = [
  ['failed', 'Failed'],
  ['objections', 'With blocking issues'],
  ['later', 'To be continued'],
]

function summary(policies: readonly PolicyReport[]): string {
  const done = policies.filter((one) => outcomeOf(one) === 'done').length
  return `${plural(policies.length, 'policy', 'policies')}: ${showCount(done)} done`
}

function named(words: string, policies: readonly PolicyReport[]): string[] {
  return policies.length === 0 ? [] : [`${words}: ${policies.map(({ name }) => name).join(', ')}`]
}

function describePolicy(report: PolicyReport, withValues: boolean): string[] {
  const lines = [
    ...describeRotation(report),
    ...(report.view === null ? [] : [`view ${display(report.view.plan.view)} is as its policy says`]),
    ...report.purged.flatMap(({ figures, plan }) => {
      const rows = figures?.rows ?? 0
      return rows === 0 ? [] : [`${plan.goal}: ${showCount(rows)} rows`]
    }),
    ...(report.notNow === null ? [] : [`nothing is removed: ${report.notNow}`]),
    ...explainObjections(objectionsOf(report)).map((line) => line.replace(/^--( |$)/, '')),
    ...failuresOf(report).flatMap((failure) => {
      const { what, error } = failure
      if (isInterrupted(failure)) return [`ended in the midst of: ${what}; the next run continues it`]
      const { message, details, next } = tellError(error, withValues)
      const [first = '', ...rest] = message.split('\n')
      return [`failed: ${what}: ${first}`, ...indented([...rest, ...details, next])]
    }),
  ]
  const title = lines.length === 0 ? 'nothing was due' : showElapsed(report.milliseconds)
  return [`${display(report.table)}: ${title}`, ...indented(lines)]
}

function describeRotation({ rotation }: PolicyReport): string[] {
  const sets = rotation?.sets ?? []
  const created = sets.flatMap((set) => set.created)
  const retired = sets.flatMap((set) => set.retired)
  return [
    ...sets.flatMap(({ finalized }) => finalized.map((one) => `finished the interrupted detach of ${display(one)}`)),
    ...(created.length === 0 ? [] : [`created ${created.map(({ partition }) => display(partition)).join(', ')}`]),
    ...describeRetired(retired),
    ...retired.flatMap(({ receipt }) => (receipt === null ? [] : [`archived: ${receipt}`])),
    ...(rotation?.retired.dropped ?? []).map(({ runId }) => `dropped the retired table of run ${runId}`),
  ]
}

/** A line for those of the same fate: of partitions that are detached for a while, until when. */
export function describeRetired(retired: readonly Retired[]): string[] {
  const alike = (a: Retired) => (b: Retired) => a.outcome === b.outcome && a.goesFrom === b.goesFrom
  const fates = retired.filter((one, i) => retired.findIndex(alike(one)) === i)
  return fates.map((fate) => {
    const some = retired.filter(alike(fate))
    const names = some.map(({ partition }) => display(partition)).join(', ')
    const bytes = some.reduce((sum, one) => sum + one.bytes, 0)
    const later = fate.goesFrom === null ? '' : `, to be dropped from ${fate.goesFrom} on`
    return `${fate.outcome} ${names}: ${showBytes(bytes)}${later}`
  })
}

type Retired = Pick<RetiredPartition, 'partition' | 'outcome' | 'bytes' | 'goesFrom'>

/** The plans of policies for which something is to be done, now or in their windows, and how many others there are. */
export function explainRun(plans: readonly PolicyPlan[], gone: readonly string[], command: string): string {
  const due = plans.filter((plan) => isDue(plan) || plan.notNow !== null)
  const idle = plans.length - due.length
  return [
    ...due.map((plan) => explainPolicy(plan, command)),
    ...(gone.length === 0 ? [] : [toText([`-- no longer there: ${gone.join(', ')}`])]),
    toText([
      `-- ${plural(plans.length, 'policy', 'policies')}${idle === 0 ? '' : `; for ${showCount(idle)} nothing is due`}.`,
      `-- Nothing has been changed. To execute: ${command}`,
    ]),
  ].join('\n')
}

/** Whether there is anything to do, or to resolve. */
export function isDue({ rotation, view, others, judged, failed }: PolicyPlan): boolean {
  const plans = [rotation, view, ...others].filter((plan) => plan !== null)
  const objections = [...(judged?.objections ?? []), ...plans.flatMap((plan) => plan.objections)]
  return failed.length > 0 || objections.length > 0 || plans.some(({ steps }) => steps.length > 0)
}

export function objectionsOfPlan({ rotation, view, others, judged }: PolicyPlan): PolicyReport['objections'] {
  return [judged, rotation, view, ...others].flatMap((plan) => plan?.objections ?? [])
}

function explainPolicy({ name, judged, rotation, view, others, notNow, failed }: PolicyPlan, command: string): string {
  const heading = [
    `-- policy of ${name}`,
    ...(notNow === null ? [] : [`-- nothing is removed: ${notNow}`]),
    ...explainObjections(judged?.objections ?? []),
    ...failed.flatMap(({ what, error }) => describePlanFailure(what, error).map((line) => `-- ${line}`)),
  ]
  return [
    toText(heading),
    ...(rotation === null ? [] : [explainRotation(rotation, { command })]),
    ...[...(view === null ? [] : [view]), ...others].map((plan) => explain(plan, { command })),
  ].join('\n')
}

function describePlanFailure(what: string, error: Error): string[] {
  const { message, next } = tellError(error)
  const [first = '', ...rest] = message.split('\n')
  return [`failed: ${what}: ${first}`, ...indented([...rest, next])]
}
