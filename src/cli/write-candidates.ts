import { approveCandidates, candidateSet } from '../engine/purge/candidate-review.ts'
import { candidates } from '../engine/commands/candidates.ts'
import { display } from '../sql/names.ts'
import { showReview, type Review } from './candidate-options.ts'
import { planOrCarryOut, type Asked } from './show-plan.ts'

/** Shows the plan of a candidate set or records it, and shows what was asked of it. */
export async function writeCandidateSet(asked: Asked, where: string, review: Review): Promise<void> {
  const { reporter, target, engine } = asked
  await planOrCarryOut(asked, candidates, { where }, async (_asked, { runId, plan }) => {
    if (runId === null)
      return reporter.show('candidates', { set: null }, () => `${display(plan.table)}: no row matches.\n`)
    const { approvedBy, ticket } = review
    await approveCandidates(target, runId, { approvedBy, ticket }, engine)
    await showReview(target, await candidateSet(target, runId, engine), review, engine, reporter)
  })
}
