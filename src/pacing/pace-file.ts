import { readFile, stat } from 'node:fs/promises'
import { codeOf } from '../db/sqlstate.ts'
import { reasonOf, UsageError } from '../errors.ts'
import type { PaceSettings } from './limits.ts'
import { paceText, parsePaceWord } from './parse-settings.ts'

/**
 * A file that retunes a run: JSON with the words of the command line, such as
 * `{"max-replica-lag": "16MB", "target-ms": 30}`. Read again whenever it has
 * changed. What is not in it, or when it is gone, is as the command line said.
 */
export class PaceFile {
  private readonly path: string
  private readonly given: PaceSettings
  private readonly note: (text: string) => void
  private stamp: string | null = null
  private current: PaceSettings

  constructor(path: string, given: PaceSettings, note: (text: string) => void) {
    this.path = path
    this.given = given
    this.note = note
    this.current = given
  }

  /** The settings as they are now. A file that cannot be understood is told once, and changes nothing. */
  async settings(): Promise<PaceSettings> {
    const stamp = await readStamp(this.path)
    if (stamp === this.stamp) return this.current
    this.stamp = stamp
    if (stamp === null) {
      this.current = this.given
      this.note(`the pace file ${this.path} is gone: the pace is as the command says`)
      return this.current
    }
    try {
      const words = parsePaceFile(await readFile(this.path, 'utf8'))
      this.current = { ...this.given, ...words }
      this.note(`the pace file ${this.path} has been read: ${Object.keys(words).length} settings`)
    } catch (error) {
      const reason = reasonOf(error)
      this.note(`the pace file ${this.path} is not followed, the pace stays as it was: ${reason}`)
    }
    return this.current
  }
}

/** Null when there is no file. Size and inode besides the time: two changes may fall into one tick of the clock. */
async function readStamp(path: string): Promise<string | null> {
  try {
    const { mtimeMs, size, ino } = await stat(path)
    return `${mtimeMs} ${size} ${ino}`
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    return `unreadable: ${String(codeOf(error))}`
  }
}

/** @throws {UsageError} that names everything that is wrong */
export function parsePaceFile(text: string): Partial<PaceSettings> {
  const words = parseObject(text)
  const faults: string[] = []
  const settings = Object.entries(words).map(([word, value]) => {
    try {
      return parsePaceWord(word, paceText(value))
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      faults.push(`${word}: ${error.message}`)
      return {}
    }
  })
  if (faults.length > 0) throw new UsageError(faults.join('; '), 'Correct the file; it is read again when it changes.')
  return Object.assign({}, ...settings) as Partial<PaceSettings>
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    // What is not JSON may be half a file; its text may hold credentials and is not repeated.
  }
  throw new UsageError('it is no JSON object', 'Write it as {"max-replica-lag": "16MB", "target-ms": 30}.')
}
