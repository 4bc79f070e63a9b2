import { EbbError, NOTHING_CHANGED } from '../errors.ts'

/** Loads a module that needs a package which is installed only by those who use it. */
export async function optional<Module>(load: () => Promise<Module>, name: string): Promise<Module> {
  try {
    return await load()
  } catch (error) {
    if (!isMissing(error)) throw error
    throw new EbbError(
      `the package ${name} is needed for this, and it is not installed`,
      { state: NOTHING_CHANGED, next: `Install it beside Ebb: npm install ${name} (with --global if Ebb is).` },
      'failed',
      error,
    )
  }
}

/** The package, or the part of it that is made for this machine. */
function isMissing(error: unknown): boolean {
  const { code } = Object(error) as { readonly code?: unknown }
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND'
}
