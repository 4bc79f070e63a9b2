import { readFile } from 'node:fs/promises'
import { UsageError } from '../errors.ts'
import { savedPlans, type SavedPlan, type SavedPlans } from '../plan/language/saved.ts'
import { refuseFile, writeNewFile } from './new-file.ts'

/** The plan in a file. @throws {UsageError} if there is none */
export async function readPlanFile(file: string): Promise<SavedPlan> {
  const saved = await readSaved(file)
  if (saved.type === 'ebb plan') return saved
  throw ofAnother(file, saved.plans)
}

/** The plans in a file of a command that makes several. @throws {UsageError} if there are none */
export async function readPlansFile(file: string): Promise<readonly SavedPlan[]> {
  const saved = await readSaved(file)
  if (saved.type === 'ebb plans') return saved.plans
  throw ofAnother(file, [saved])
}

async function readSaved(file: string): Promise<SavedPlan | SavedPlans> {
  const { parseSavedPlan } = await import('../plan/language/saved-schema.ts')
  const saved = parseSavedPlan(await readFile(file, 'utf8').catch((error: unknown) => refuseFile('read', file, error)))
  if (saved !== null) return saved
  throw new UsageError(
    `${file} is not a plan of this version`,
    'Save one with --plan-out, by the version that will execute it.',
  )
}

function ofAnother(file: string, plans: readonly SavedPlan[]): UsageError {
  const commands = [...new Set(plans.map(({ command }) => `ebb ${command}`))]
  return new UsageError(
    `${file} is a plan of ${commands.join(' and ')}`,
    'Pass it to the command that has saved it, with the same options.',
  )
}

/** An existing file is not overwritten: it may be the plan that was approved. @throws {UsageError} */
export async function writePlanFile(file: string, saved: SavedPlan | readonly SavedPlan[]): Promise<void> {
  const content = 'steps' in saved ? saved : savedPlans(saved)
  await writeNewFile(file, `${JSON.stringify(content, null, 2)}\n`, 0o600)
}
