import { UsageError } from '../errors.ts'
import type { Path, Place } from './place.ts'

/** Knows where the key of a part of a config stands, or its value; null where its format has no lines. */
export interface Placed {
  readonly place: (path: Path, of: 'key' | 'value') => Place | null
}

/** What is wrong with one place of a config. */
export interface ConfigFault {
  /** Null where the format has no lines. */
  readonly place: Place | null
  /** `public.events: purge.where`; empty for the whole. */
  readonly where: string
  readonly error: UsageError
}

/** Collects what is wrong with a config, so that all of it is reported at once. */
export class ConfigFaults {
  private readonly faults: ConfigFault[] = []

  /** Notes a fault; a second one of the same place adds nothing. */
  noteAt(place: Place | null, where: string, error: UsageError): void {
    const same = (other: ConfigFault) =>
      other.where === where && other.place?.line === place?.line && other.place?.column === place?.column
    if (!this.faults.some(same)) this.faults.push({ place, where, error })
  }

  note({ place }: Placed, path: Path, of: 'key' | 'value', error: UsageError): void {
    this.noteAt(place(path, of), nameOf(path), error)
  }

  get any(): boolean {
    return this.faults.length > 0
  }

  /** @throws {UsageError} with all of them, when there are any; `file` is its name for people */
  throwIfAny(file: string): void {
    if (!this.any) return
    const sorted = this.faults.toSorted((a, b) => position(a) - position(b))
    const lines = sorted.map((fault) => describe(file, fault))
    const nexts = new Set(sorted.map(({ error }) => error.advice.next))
    throw new UsageError(
      lines.length === 1 ? lines.join() : `${lines.length} faults in ${file}:\n       ${lines.join('\n       ')}`,
      [...nexts].join('\n       '),
      sorted[0]?.error,
    )
  }
}

/** `public.events: purge.where`: the table of a policy, and the key in it. */
function nameOf(path: Path): string {
  const [first, second, ...rest] = path.map(String)
  if (first !== 'policies' || second === undefined) return path.join('.')
  return rest.length === 0 ? second : `${second}: ${rest.join('.')}`
}

function describe(file: string, { place, where, error }: ConfigFault): string {
  const at = place === null ? file : `${file}:${place.line}:${place.column}`
  return [at, where, error.message.replace(/\.$/, '')].filter((part) => part !== '').join(': ')
}

const LONGEST_LINE = 1e6

function position({ place }: ConfigFault): number {
  return place === null ? 0 : place.line * LONGEST_LINE + place.column
}
