import type { Target } from '../../db/session.ts'
import { afterOthers } from '../after-others.ts'
import type { EngineOptions } from '../options.ts'
import { findRun, type RunChoice } from './find-run.ts'

/** Does something with a run when no other one is on its table any more, if waiting was asked for. */
export async function whenFree<T>(
  target: Target,
  choice: RunChoice,
  options: EngineOptions,
  work: (choice: RunChoice) => Promise<T>,
  commands?: readonly string[],
): Promise<T> {
  if (options.waitMs === undefined) return work(choice)
  const { run } = await findRun(target, choice, options, commands)
  return afterOthers(target, run.table, options, () => work({ runId: run.id }))
}
