import { EbbError, UsageError } from '../errors.ts'

/** A required option or argument that was not given. */
export class MissingError extends UsageError {
  constructor(next: string) {
    super('missing', next)
  }
}

/** A value that can be read once `throwIfAny` has found no errors. */
export type Settled<T> = () => T

interface Fault {
  readonly where: string
  readonly error: UsageError
}

/** Collects the usage errors of a command, so that all are reported at once. */
export class Faults {
  private readonly faults: Fault[] = []

  /** Reads an option or argument; an error is noted under its name. */
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

  /** The same for one that may be absent: null. */
  readOptional<T>(where: string, text: string | undefined, parse: (text: string) => T): Settled<T | null> {
    return this.read(where, () => (text === undefined ? null : parse(text)))
  }

  /** The same for a required one; `wanted` shows what to write. */
  readRequired<T>(where: string, text: string | undefined, wanted: string, parse: (text: string) => T): Settled<T> {
    return this.read(where, () => {
      if (text === undefined) throw new MissingError(`Pass ${wanted}.`)
      return parse(text)
    })
  }

  /** @throws {EbbError} when anything was wrong */
  throwIfAny(): void {
    const { faults } = this
    const [first] = faults
    if (first === undefined) return
    const lines = faults.map(describe)
    const nexts = new Set(faults.map(({ error }) => error.advice.next))
    throw new EbbError(
      lines.length === 1 ? lines.join() : `${lines.length} usage errors:\n       ${lines.join('\n       ')}`,
      { state: first.error.advice.state, next: [...nexts].join('\n       ') },
      'usage',
      first.error,
    )
  }
}

function describe({ where, error }: Fault): string {
  if (error instanceof MissingError)
    return `missing required ${where.startsWith('--') ? 'option' : 'argument'} ${where}`
  return `${where}: ${error.message.replace(/\.$/, '')}`
}
