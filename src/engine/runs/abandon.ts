import { readPatiently } from '../locks/patiently.ts'
import { type Target } from '../../db/session.ts'
import type { Plan } from '../../plan/language/step.ts'
import { commandOf } from '../commands/registry.ts'
import type { EngineOptions } from '../options.ts'
import { assertLatest } from '../run.ts'
import { withTable } from '../table-context.ts'
import { findRun, type RunChoice } from './find-run.ts'
import { whenFree } from './when-free.ts'
import { assertAbandonable, planTakingBack, takeBack, type RunResult } from './take-back.ts'

/** Plans the abandonment of an unfinished run. */
export async function planAbandonOf(
  target: Target,
  choice: RunChoice,
  options: EngineOptions,
): Promise<Plan & { readonly runId: string }> {
  const { run, done } = await findRun(target, choice, options)
  const plan = await readPatiently(target, 'plan abandon', options, (session) =>
    planTakingBack(session, commandOf(run), run, done),
  )
  return { ...plan, runId: run.id }
}

/** Undoes the preparations of an unfinished run, which leaves the table as it was before. */
export function abandon(target: Target, choice: RunChoice, options: EngineOptions): Promise<RunResult> {
  return whenFree(target, choice, options, (one) => abandonNow(target, one, options))
}

async function abandonNow(target: Target, choice: RunChoice, options: EngineOptions): Promise<RunResult> {
  const { server, run, done } = await findRun(target, choice, options)
  const command = commandOf(run)
  assertAbandonable(command, run, done)
  return withTable({ target, server, ...options, command: 'abandon' }, run.table, async (context) => {
    await assertLatest(context, run.table, run)
    return takeBack(command, run, context)
  })
}
