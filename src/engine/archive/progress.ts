import type { TableContext } from '../table-context.ts'

const REPORT_EVERY_MS = 500

/** Reports how many rows have been sent so far: how fast, and for how long it will go on. */
export function reportRows(
  { observer }: Pick<TableContext, 'observer'>,
  what: string,
  expected: number | null,
): (rows: number, bytes: number) => void {
  const began = performance.now()
  let reported = began
  return (rows) => {
    const now = performance.now()
    if (now - reported < REPORT_EVERY_MS) return
    reported = now
    const perSecond = (rows / (now - began)) * 1000
    const total = Math.max(rows, expected ?? 0)
    const remainingSeconds = expected === null || rows === 0 ? null : (total - rows) / perSecond
    observer({ type: 'progress', progress: { what, done: rows, total, unit: 'rows', perSecond, remainingSeconds } })
  }
}
