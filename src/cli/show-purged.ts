import type { PurgeResult } from '../engine/commands/purge.ts'
import { EXIT } from './exit-codes.ts'
import { describePurged } from '../report/purged.ts'
import { toText } from '../text/comment.ts'
import type { Invocation } from './command.ts'
import type { Reporter } from './reporter.ts'

/** Shows the result of a purge. Where locked rows are left, the exit code says to try again later. */
export function showPurged({ end }: Invocation, reporter: Reporter, result: PurgeResult): void {
  const { plan, ...shown } = result
  reporter.show('result', { table: plan.table, ...shown }, () => toText(describePurged(result)))
  if ((result.figures?.locked ?? 0) > 0) end(EXIT.tryLater)
}
