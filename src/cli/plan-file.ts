import { readFile } from 'node:fs/promises'
import { UsageError } from '../errors.ts'
import type { SavedPlan } from '../plan/language/saved.ts'
import { refuseFile, writeNewFile } from './new-file.ts'

/** The plan in a file. @throws {UsageError} if there is none */
export async function readPlanFile(file: string): Promise<SavedPlan> {
  const { parseSavedPlan } = await import('../plan/language/saved-schema.ts')
  const saved = parseSavedPlan(await readFile(file, 'utf8').catch((error: unknown) => refuseFile('read', file, error)))
  if (saved !== null) return saved
  throw new UsageError(
    `${file} is not a plan of this version`,
    'Save one with --plan-out, by the version that will execute it.',
  )
}

/** An existing file is not overwritten: it may be the plan that was approved. @throws {UsageError} */
export async function writePlanFile(file: string, saved: SavedPlan): Promise<void> {
  await writeNewFile(file, `${JSON.stringify(saved, null, 2)}\n`, 0o600)
}
