import { access } from 'node:fs/promises'
import { EbbError } from '../errors.ts'
import type { PaceSettings } from './limits.ts'

// Files that control a run from outside: in a hurry, `touch` is enough.

/** The pause file if it exists; null if it does not, or none is configured. */
export async function pauseFileThere({ pauseFile }: Pick<PaceSettings, 'pauseFile'>): Promise<string | null> {
  return pauseFile !== null && (await exists(pauseFile)) ? pauseFile : null
}

/** @throws {EbbError} with exit code 4, when the stop file exists or a stop was requested */
export async function assertGoing(
  { stopFile }: Pick<PaceSettings, 'stopFile'>,
  { aborted }: AbortSignal,
): Promise<void> {
  if (aborted) throw stopped('on request', 'Run the same command again: it resumes where it stopped.')
  if (stopFile !== null && (await exists(stopFile)))
    throw stopped(
      `by the stop file ${stopFile}`,
      'Remove the file and run the same command again: it resumes where it stopped.',
    )
}

function stopped(how: string, next: string): EbbError {
  const state = 'Committed work is kept, and nothing is incomplete.'
  return new EbbError(`stopped ${how}`, { state, next }, 'stopped')
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
