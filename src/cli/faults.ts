import { EbbError, UsageError } from '../errors.ts'

/** A value that can be asked for once `throwIfAny` has found no fault. */
export type Settled<T> = () => T

/** Collects what is wrong with the words of a command, so that all of it is said at once. */
export class Faults {
  private readonly faults: { readonly where: string; readonly error: UsageError }[] = []

  /** Reads a word; a fault is noted under its name. */
  read<T>(where: string, parse: () => T): Settled<T> {
    try {
      const value = parse()
      return () => value
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      this.faults.push({ where, error })
      return () => {
        throw error
      }
    }
  }

  /** The same for a word that may be absent: null. */
  readOptional<T>(where: string, text: string | undefined, parse: (text: string) => T): Settled<T | null> {
    return this.read(where, () => (text === undefined ? null : parse(text)))
  }

  /** The same for a word that must be there; `wanted` shows what to write. */
  readRequired<T>(where: string, text: string | undefined, wanted: string, parse: (text: string) => T): Settled<T> {
    return this.read(where, () => {
      if (text === undefined) throw new UsageError('it is missing', `Say ${wanted}.`)
      return parse(text)
    })
  }

  /** @throws {EbbError} when anything was wrong */
  throwIfAny(): void {
    const { faults } = this
    const [first] = faults
    if (first === undefined) return
    const lines = faults.map(({ where, error }) => `${where}: ${error.message.replace(/\.$/, '')}`)
    const nexts = new Set(faults.map(({ error }) => error.advice.next))
    throw new EbbError(
      lines.length === 1 ? lines.join() : `${lines.length} things are wrong:\n       ${lines.join('\n       ')}`,
      { state: first.error.advice.state, next: [...nexts].join('\n       ') },
      'usage',
      first.error,
    )
  }
}
