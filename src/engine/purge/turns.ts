/** What a batch has come to: rows that it had to do with, and how long it took. */
export interface BatchPast {
  readonly rows: number
  readonly milliseconds: number
}

/** Who may begin a batch, when, and how large. Whoever paces a purge is one of these. */
export interface Turns {
  /** Comes back when the next batch may begin. `last` is null before the first. */
  turn(last: BatchPast | null): Promise<{ readonly rows: number }>
}

const FIRST_ROWS = 500
const MOST_ROWS = 50_000
const TARGET_MS = 50

/** Never waits: batches only follow the time that one should take. */
export function steadyTurns(targetMs = TARGET_MS): Turns {
  let rows = FIRST_ROWS
  return {
    turn: (last) => {
      if (last !== null) rows = nextSize(rows, last.milliseconds, targetMs)
      return Promise.resolve({ rows })
    },
  }
}

/** Grows gently, for a batch may have met few rows by chance; shrinks at once. */
function nextSize(rows: number, milliseconds: number, targetMs: number): number {
  const wished = Math.round((rows * targetMs) / Math.max(milliseconds, 1))
  return Math.max(1, Math.min(wished, rows * 2, MOST_ROWS))
}
