import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { EbbError, messageOf, NOTHING_CHANGED } from '../errors.ts'
import { importTypeScript } from '../policy/import-typescript.ts'
import type { MigrationContext } from './context.ts'
import type { MigrationFile } from './files.ts'

/** A migration, or the way back: a function that a file exports as `up` or `down`. */
export type Migration = (params: { readonly name: string; readonly context: MigrationContext }) => unknown

/** What a file of JavaScript or TypeScript exports. */
export interface MigrationModule {
  readonly up: Migration
  readonly down: Migration | null
}

/** @throws {EbbError} when it cannot be imported, or exports no migration */
export async function loadMigration({ name, path }: MigrationFile): Promise<MigrationModule> {
  const exported = await importFile(name, path)
  const { up, down = null } = { ...(exported.default as Partial<MigrationModule> | undefined), ...exported }
  if (typeof up !== 'function') throw unusable(name, 'exports no function called up')
  if (down !== null && typeof down !== 'function') throw unusable(name, 'exports a down that is not a function')
  return { up, down }
}

type Exported = Partial<MigrationModule> & { readonly default?: unknown }

async function importFile(name: string, path: string): Promise<Exported> {
  const absolute = resolve(path)
  try {
    if (/\.[mc]?ts$/.test(path)) return (await importTypeScript(absolute)) as Exported
    return (await import(/* @vite-ignore */ pathToFileURL(absolute).href)) as Exported
  } catch (error) {
    throw unusable(name, `cannot be imported: ${messageOf(error)}`, error)
  }
}

function unusable(name: string, what: string, cause?: unknown) {
  const next = 'Correct the file. ebb migrate create <name> writes one that is right.'
  return new EbbError(`migration ${name} ${what}`, { state: NOTHING_CHANGED, next }, 'usage', cause)
}
