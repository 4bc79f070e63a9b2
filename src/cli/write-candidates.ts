import { approveCandidates, candidateSet } from '../engine/purge/candidate-review.ts'
import { planCandidatesOf, writeCandidates } from '../engine/commands/candidates.ts'
import { display } from '../sql/names.ts'
import { showReview, type Review } from './candidate-options.ts'
import type { PurgeInvocation } from './purge-invocation.ts'
import { orObjections, showPlan } from './show-plan.ts'

/** Shows the plan of a candidate set or records it, and shows what was asked of it. */
export async function writeCandidateSet(
  { invocation, reporter, target, table, execute, engine }: PurgeInvocation,
  where: string,
  review: Review,
): Promise<void> {
  if (!execute) return showPlan(invocation, reporter, await planCandidatesOf(target, table, { where }, engine))
  await orObjections(invocation, reporter, async () => {
    const { runId, plan } = await writeCandidates(target, table, { where }, engine)
    if (runId === null)
      return reporter.show('candidates', { set: null }, () => `${display(plan.table)}: no row matches.\n`)
    const { approvedBy, ticket } = review
    await approveCandidates(target, runId, { approvedBy, ticket }, engine)
    await showReview(target, await candidateSet(target, runId, engine), review, engine, reporter)
  })
}
