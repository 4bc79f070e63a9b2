import { access, readFile, stat } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf, UsageError } from '../errors.ts'
import { importTypeScript } from './import-typescript.ts'
import { ConfigFaults } from './config-faults.ts'
import { noteSecrets } from './secrets.ts'
import { parseConfig, unplaced, type WrittenConfig } from './written-config.ts'

/** The names of config files. There is one, or it has to be named. */
const CONFIG_NAMES = ['yaml', 'json', 'js', 'mjs', 'ts'].map((extension) => `ebb.config.${extension}`)

/** The config file of a folder. Folders above it are not searched: another project's file must not remove rows here. */
export async function findConfig(folder: string): Promise<string> {
  const found = await configsIn(folder)
  const [first, ...others] = found
  if (first === undefined)
    throw new UsageError(
      `there is no config in ${folder}: none of ${CONFIG_NAMES.join(', ')}`,
      'Name it with --config <file>; ebb init writes a first one.',
    )
  if (others.length > 0)
    throw new UsageError(
      `there are several configs in ${folder}: ${found.join(', ')}`,
      'Name one with --config <file>.',
    )
  return join(folder, first)
}

export async function configsIn(folder: string): Promise<string[]> {
  const found: string[] = []
  for (const name of CONFIG_NAMES) if (await exists(join(folder, name))) found.push(name)
  return found
}

/** Where a config is to be written, there must be none: a second one would be in the way of the first. @throws {UsageError} */
export async function assertNoConfig(file: string): Promise<void> {
  const others = CONFIG_NAMES.includes(basename(file)) ? await configsIn(folderOf(file)) : []
  const found = others[0] ?? ((await exists(file)) ? file : undefined)
  if (found !== undefined)
    throw new UsageError(`${found} already exists`, 'Pass another file, or - for standard output.')
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** A config file as it was written. What is wrong with its text is noted. */
export async function readConfigFile(path: string, faults: ConfigFaults): Promise<WrittenConfig> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw unreadable(path, error)
  })
  noteSecrets(text, faults)
  switch (extname(path)) {
    case '.yaml':
    case '.yml':
    case '.json':
      return parseConfig(text, faults)
    case '.js':
    case '.mjs':
    case '.ts':
      return unplaced(await importDefault(resolve(path)))
    default:
      throw new UsageError(
        `${path} is no config by its name`,
        'Name a file that ends with .yaml, .json, .js, .mjs or .ts.',
      )
  }
}

export function folderOf(path: string): string {
  return dirname(resolve(path))
}

/** What a module exports by default, as the file is now: a program that runs for long may load it again. */
async function importDefault(path: string): Promise<unknown> {
  const module = await load(path).catch((error: unknown) => {
    throw unreadable(path, error)
  })
  if (Object(module) === module && 'default' in (module as object)) return (module as { default: unknown }).default
  throw new UsageError(`${basename(path)} has no default export`, 'Write export default defineConfig({ … }).')
}

async function load(path: string): Promise<unknown> {
  if (extname(path) === '.ts') return importTypeScript(path)
  const { mtimeMs } = await stat(path)
  return import(`${pathToFileURL(path).href}?at=${mtimeMs}`)
}

function unreadable(path: string, error: unknown): UsageError {
  return new UsageError(
    `${path} cannot be read: ${messageOf(error).replace(/\s*\n\s*/g, ' ')}`,
    'Correct it, or name another one.',
    error,
  )
}
