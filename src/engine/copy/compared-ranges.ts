import type { Session } from '../../db/session.ts'
import type { KeySpan, KeyText } from '../../plan/copy/comparison.ts'

// The ranges of a comparison, for jobs that share them. Invariants:
//
//   - Each range starts where the previous one ends, so they are determined one at a time.
//   - They are recorded in order: what is in the journal has no gap, and a resumed run starts behind the last. One that
//     is compared before an earlier one is recorded together with that, and its job does not wait.

/** A range that a job has taken. */
export interface TakenRange {
  readonly number: number
  readonly span: KeySpan
}

/** Finds the last key of the range of so many rows behind a key; null if that is the last range. */
export type FindEnd = (session: Session, after: KeyText | null, rows: number) => Promise<KeyText | null>

/** `Found`: what is recorded of a range. */
export class ComparedRanges<Found> {
  private readonly findEnd: FindEnd
  private next: { readonly number: number; readonly after: KeyText | null } | null
  private taking: Promise<unknown> = Promise.resolve()
  /** Those that wait for an earlier one. */
  private readonly compared = new Map<number, Found>()
  private nextToRecord: number
  private recording: Promise<void> = Promise.resolve()

  /** @param next the first range; null if there is none */
  constructor(next: { readonly number: number; readonly after: KeyText | null } | null, findEnd: FindEnd) {
    this.next = next
    this.nextToRecord = next?.number ?? 0
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

  /**
   * Records a range, and those behind it that have been waiting for it, by `record`; nothing yet if an earlier one is
   * still being compared. After a failure nothing more is recorded.
   */
  record({ number }: TakenRange, found: Found, record: (found: readonly Found[]) => Promise<void>): Promise<void> {
    this.compared.set(number, found)
    this.recording = this.recording.then(async () => {
      const inOrder = this.takeInOrder()
      if (inOrder.length > 0) await record(inOrder)
    })
    return this.recording
  }

  private takeInOrder(): Found[] {
    const inOrder: Found[] = []
    for (let found = this.takeCompared(); found !== undefined; found = this.takeCompared()) inOrder.push(found)
    return inOrder
  }

  private takeCompared(): Found | undefined {
    const found = this.compared.get(this.nextToRecord)
    if (found !== undefined) this.compared.delete(this.nextToRecord++)
    return found
  }

  private async takeNext(session: Session, rows: number): Promise<TakenRange | undefined> {
    if (this.next === null) return undefined
    const { number, after } = this.next
    const upto = await this.findEnd(session, after, rows)
    if (this.next === null) return undefined
    this.next = upto === null ? null : { number: number + 1, after: upto }
    return { number, span: { after, upto } }
  }
}
