import type { StepResult } from '../engine/execute.ts'
import { columns } from '../text/columns.ts'
import { showElapsed } from '../text/elapsed.ts'

/** What steps have cost: elapsed time, and how long they may have blocked others. */
export function describeCosts(steps: readonly StepResult[]): string[] {
  if (steps.length === 0) return []
  const taken = steps.reduce((sum, { milliseconds }) => sum + milliseconds, 0)
  const swap = steps.find(({ key }) => key === 'swap' || key === 'swap-back')?.lock ?? null
  const longest = Math.max(0, ...steps.map(({ lock }) => lock?.longestWaitCausedMs ?? 0))
  const attempts = swap !== null && swap.attempts > 1 ? `, at attempt ${swap.attempts}` : ''
  return columns([
    ['time taken', showElapsed(taken)],
    ...(swap === null ? [] : [['locked for the swap', `${showElapsed(swap.heldMs)}${attempts}`]]),
    ['maximum blocking time', showElapsed(longest)],
  ])
}
