import { approveCandidates, candidateSet, candidateSets, dropCandidates } from '../../engine/purge/candidates/review.ts'
import { describeCandidateSets, describeDropped } from '../../report/candidates.ts'
import { REVIEW } from '../../requests/review.ts'
import { toText } from '../../text/comment.ts'
import { commandLine, executing, type Asked } from '../command.ts'
import { showReview, type Review } from '../show-review.ts'

/** `ebb candidates`: lists, exports, approves and drops candidate sets. */
export const candidatesCommand = commandLine(
  REVIEW,
  {
    description:
      'Lists the candidate sets recorded by ebb purge --candidates, or shows one of them. Never changes a row of a table.',
  },
  async (asked, review, { set, drop }) => {
    const { target, engine, reporter } = asked
    if (set !== null) return act(asked, set, review, drop)
    const sets = await candidateSets(target, engine)
    reporter.show('sets', sets, () => toText(describeCandidateSets(sets)))
  },
)

async function act(asked: Asked, set: string, review: Review, drop: boolean): Promise<void> {
  const { invocation, target, engine, reporter, execute } = asked
  if (execute && drop) {
    const dropped = await dropCandidates(target, set, engine)
    return reporter.show('dropped', dropped, () => toText(describeDropped(dropped)))
  }
  const approves = review.approvedBy !== null || review.ticket !== null
  const stored =
    execute && approves ? await approveCandidates(target, set, review, engine) : await candidateSet(target, set, engine)
  const command = (approves || drop) && !execute ? executing(invocation) : null
  await showReview(asked, stored, review, command)
}
