import { UsageError } from '../errors.ts'

/** A required option or argument that was not given. */
export class MissingError extends UsageError {
  constructor(next: string) {
    super('missing', next)
  }
}

export interface Fault {
  /** The name of the option. */
  readonly where: string
  readonly error: UsageError
}

/** Collects the usage errors of a command or call, so that all are reported at once. */
export class Faults {
  private readonly faults: Fault[] = []

  /** What `parse` returns. An error of it is noted under a name, and `throwIfAny` throws before the value is used. */
  read<T>(where: string, parse: () => T): T {
    try {
      return parse()
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      this.note(where, error)
      return undefined as T
    }
  }

  note(where: string, error: UsageError): void {
    this.faults.push({ where, error })
  }

  all(): readonly Fault[] {
    return this.faults
  }

  /** @throws {UsageError} when anything was wrong */
  throwIfAny(): void {
    const { faults } = this
    const [first] = faults
    if (first === undefined) return
    const lines = faults.map(describe)
    const nexts = new Set(faults.map(({ error }) => error.advice.next))
    throw new UsageError(
      lines.length === 1 ? lines.join() : `${lines.length} usage errors:\n       ${lines.join('\n       ')}`,
      [...nexts].join('\n       '),
      first.error,
    )
  }
}

function describe({ where, error }: Fault): string {
  if (error instanceof MissingError) return `missing required ${where.startsWith('<') ? 'argument' : 'option'} ${where}`
  return `${where}: ${error.message.replace(/\.$/, '')}`
}
