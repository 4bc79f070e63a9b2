import { readFile, stat } from 'node:fs/promises'
import { codeOf } from '../db/sqlstate.ts'
import { messageOf, UsageError } from '../errors.ts'
import type { PaceSettings } from './limits.ts'
import { paceText, parsePaceWord } from './parse-settings.ts'

/**
 * A file that changes the settings of a run: JSON with the options of the command line, such as `{"max-replica-lag":
 * "16MB", "target-ms": 30}`. Read again whenever it changes. Settings not in it, and all when it is removed, are
 * those of the command line.
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

  /** The current settings. An invalid file is reported once, and changes nothing. */
  async settings(): Promise<PaceSettings> {
    const stamp = await readStamp(this.path)
    if (stamp === this.stamp) return this.current
    this.stamp = stamp
    if (stamp === null) {
      this.current = this.given
      this.note(`the pace file ${this.path} was removed: the settings of the command line apply`)
      return this.current
    }
    try {
      const words = parsePaceFile(await readFile(this.path, 'utf8'))
      this.current = { ...this.given, ...words }
      this.note(`the pace file ${this.path} was read: ${Object.keys(words).length} settings`)
    } catch (error) {
      const reason = messageOf(error)
      this.note(`the pace file ${this.path} is ignored, and the settings stay as they were: ${reason}`)
    }
    return this.current
  }
}

/** Null if there is no file. Size and inode as well as the time: two changes may fall into one tick of the clock. */
async function readStamp(path: string): Promise<string | null> {
  try {
    const { mtimeMs, size, ino } = await stat(path)
    return `${mtimeMs} ${size} ${ino}`
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    return `unreadable: ${String(codeOf(error))}`
  }
}

/** @throws {UsageError} with everything that is wrong */
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
    // Invalid JSON may be a partly written file; its text may contain credentials and is not repeated.
  }
  throw new UsageError('it is not a JSON object', 'Write it as {"max-replica-lag": "16MB", "target-ms": 30}.')
}
