/** What a batch has come to: rows that it had to do with, and how long it took. */
export interface BatchPast {
  readonly rows: number
  readonly milliseconds: number
  /** Of that, how long the commit took; undefined where that is not known. */
  readonly commitMs?: number | undefined
}

/** Who may begin a batch, when, and how large. Whoever paces a purge is one of these. */
export interface Turns {
  /** Comes back when the next batch may begin. `last` is null before the first. */
  turn(last: BatchPast | null): Promise<Turn>
}

/** The permission to begin a batch. */
export interface Turn {
  readonly rows: number
  /** Nobody else is at work: then its commit need not wait for the disk. */
  readonly alone?: boolean
}
