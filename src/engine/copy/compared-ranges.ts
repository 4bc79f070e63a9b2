import type { Session } from '../../db/session.ts'
import type { KeySpan, KeyText } from '../../plan/copy/comparison.ts'

// The ranges of a comparison, for jobs that share them. Invariants:
//
//   - Each range starts where the previous one ends, so they are determined one at a time.
//   - They are recorded in order: what is in the journal has no gap, and a resumed run starts behind the last.

/** A range that a job has taken. */
export interface TakenRange {
  readonly number: number
  readonly span: KeySpan
  /** Runs `record` when all ranges before have been recorded; rejects, and so do all later ones, if one has not been. */
  readonly inOrder: (record: () => Promise<void>) => Promise<void>
}

/** Finds the last key of the range of so many rows behind a key; null if that is the last range. */
export type FindEnd = (session: Session, after: KeyText | null, rows: number) => Promise<KeyText | null>

export class ComparedRanges {
  private readonly findEnd: FindEnd
  private next: { readonly number: number; readonly after: KeyText | null } | null
  private taking: Promise<unknown> = Promise.resolve()
  private recorded: Promise<void> = Promise.resolve()

  /** @param next the first range; null if there is none */
  constructor(next: { readonly number: number; readonly after: KeyText | null } | null, findEnd: FindEnd) {
    this.next = next
    this.findEnd = findEnd
  }

  /** The next range of about so many rows; undefined when none is left. */
  take(session: Session, rows: number): Promise<TakenRange | undefined> {
    const taken = this.taking.then(() => this.takeNext(session, rows))
    this.taking = taken.catch(() => {})
    return taken
  }

  /** No more ranges are taken. */
  close(): void {
    this.next = null
  }

  private async takeNext(session: Session, rows: number): Promise<TakenRange | undefined> {
    if (this.next === null) return undefined
    const { number, after } = this.next
    const upto = await this.findEnd(session, after, rows)
    if (this.next === null) return undefined
    this.next = upto === null ? null : { number: number + 1, after: upto }
    const before = this.recorded
    const { promise, resolve, reject } = withResolvers()
    this.recorded = promise
    promise.catch(() => {}) // The job that takes no further range does not wait for it.
    const inOrder = async (record: () => Promise<void>) => {
      try {
        await before
        await record()
        resolve()
      } catch (error) {
        reject(error)
        throw error
      }
    }
    return { number, span: { after, upto }, inOrder }
  }
}

function withResolvers() {
  let resolve = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<void>((resolved, rejected) => {
    resolve = resolved
    reject = rejected
  })
  return { promise, resolve, reject }
}
