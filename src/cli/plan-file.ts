import { readFile, writeFile } from 'node:fs/promises'
import { UsageError } from '../errors.ts'
import type { SavedPlan } from '../plan/language/saved.ts'

/** The plan in a file. @throws {UsageError} if there is none */
export async function readPlanFile(file: string): Promise<SavedPlan> {
  const { parseSavedPlan } = await import('../plan/language/saved-schema.ts')
  const saved = parseSavedPlan(await readFile(file, 'utf8').catch((error: unknown) => refuse('read', file, error)))
  if (saved !== null) return saved
  throw new UsageError(
    `${file} is not a plan of this version`,
    'Save one with --plan-out, by the version that will execute it.',
  )
}

/** An existing file is not overwritten: it may be the plan that was approved. @throws {UsageError} */
export async function writePlanFile(file: string, saved: SavedPlan): Promise<void> {
  const content = `${JSON.stringify(saved, null, 2)}\n`
  await writeFile(file, content, { flag: 'wx', mode: 0o600 }).catch((error: unknown) => refuse('write', file, error))
}

function refuse(verb: string, file: string, error: unknown): never {
  const { code, syscall, message } = error as NodeJS.ErrnoException
  if (syscall === undefined) throw error
  throw new UsageError(
    code === 'EEXIST' ? `${file} already exists` : `cannot ${verb} ${file}: ${message}`,
    'Pass another file.',
    error,
  )
}
