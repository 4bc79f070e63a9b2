import { randomInt } from 'node:crypto'
import type { Session } from '../../db/session.ts'

/** 2⁴⁷: as many as randomInt can tell apart. */
const MARKS = 0x8000_0000_0000

/**
 * Records since when an attempt may have blocked others, and until when: a commit that drops an index is answered
 * when its files have been deleted, 25 to 45 ms after the locks are free for one of five million rows. So the
 * transaction also holds an advisory lock, and the control session asks for that at the commit.
 */
export class Attempt {
  /** The key of the advisory lock. */
  readonly mark = randomInt(MARKS)
  private asked: number | undefined
  private had: number | undefined
  private freed: Promise<number> | undefined

  /** From now on others may be waiting for us. */
  asking(): void {
    this.asked ??= performance.now()
  }

  /** From now on we hold all locks. */
  holding(): void {
    this.had ??= performance.now()
  }

  /** The maximum blocking time so far. */
  blockedMs(): number {
    return this.asked === undefined ? 0 : performance.now() - this.asked
  }

  /** The transaction is about to commit. */
  committing(control: Session): void {
    this.freed = control.query(`select pg_catalog.pg_advisory_xact_lock_shared(${this.mark})`).then(
      () => performance.now(),
      () => Infinity, // Then the commit itself counts.
    )
  }

  /** When the commit has been answered: the times until the locks were free. */
  async released(): Promise<{ heldMs: number; blockedMs: number }> {
    const answered = performance.now()
    const freed = Math.min(answered, (await this.freed) ?? Infinity)
    return { heldMs: freed - (this.had ?? freed), blockedMs: freed - (this.asked ?? freed) }
  }
}
