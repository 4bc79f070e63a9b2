import { access } from 'node:fs/promises'
import { EbbError } from '../errors.ts'
import type { PaceSettings } from './limits.ts'

// Files that steer a run from outside: all that somebody has to know in a hurry is `touch`.

/** Whether the pause file is there; null when there is none or none is meant. */
export async function pauseFileThere({ pauseFile }: Pick<PaceSettings, 'pauseFile'>): Promise<string | null> {
  return pauseFile !== null && (await exists(pauseFile)) ? pauseFile : null
}

/** @throws {EbbError} with exit code 4, when the stop file is there or the run was asked to stop */
export async function assertGoing(
  { stopFile }: Pick<PaceSettings, 'stopFile'>,
  { aborted }: AbortSignal,
): Promise<void> {
  if (aborted) throw stopped('on request', 'Run the same command again: it resumes from there.')
  if (stopFile !== null && (await exists(stopFile)))
    throw stopped(
      `by the stop file ${stopFile}`,
      'Remove the file and run the same command again: it resumes from there.',
    )
}

function stopped(how: string, next: string): EbbError {
  const state = 'What was done before is kept, and nothing is half done.'
  return new EbbError(`stopped ${how}`, { state, next }, 'stopped')
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
