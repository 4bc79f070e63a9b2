import { randomBytes } from 'node:crypto'
import { constants, type Dirent } from 'node:fs'
import { link, mkdir, open, readdir, realpath, stat, unlink, writeFile, type FileHandle } from 'node:fs/promises'
import { join, sep } from 'node:path'
import type { Readable } from 'node:stream'
import { objectUri, uriOf, type DirectoryDestination } from '../../plan/archive/destination.ts'
import { checkName, UNFINISHED } from '../object-name.ts'
import { existsAlready, isFolder, notThere } from '../store-error.ts'
import type { PutOptions, Store, StoredObject, UnfinishedObject } from '../store.ts'
import { contentOf, reasonOfPut } from './content.ts'
import { directoryError } from './directory-error.ts'
import { GuardedStream } from './guarded-stream.ts'

// An object becomes visible by a hard link from its finished, synchronized temporary file: unlike a rename, a link
// never replaces what another process has put there in the meantime. The directory itself is never created: it may be
// the place where a volume is mounted, and that volume not mounted.

const FILE_MODE = 0o600
const FOLDER_MODE = 0o700
/** At a time: each piece is a turn of the event loop. */
const READ_BYTES = 256 * 1024

/** Objects as files below a directory. */
export class DirectoryStore implements Store {
  readonly uri: string
  private readonly destination: DirectoryDestination

  constructor(destination: DirectoryDestination) {
    this.destination = destination
    this.uri = uriOf(destination)
  }

  uriOf(name: string): string {
    return objectUri(this.destination, name)
  }

  async put(name: string, content: Readable, { signal }: PutOptions): Promise<void> {
    const stream = contentOf(content, signal)
    try {
      const folders = await this.createFolders(checkName(name).split('/').slice(0, -1))
      const temporary = join(folders.at(-1) ?? '', `${UNFINISHED}${randomBytes(8).toString('hex')}`)
      try {
        await createFile(temporary, stream)
        await this.publish(temporary, name, folders)
      } finally {
        await unlink(temporary).catch(unlessMissing)
      }
    } catch (error) {
      stream.destroy()
      throw reasonOfPut(error, signal, (problem) => this.told(problem, name))
    }
  }

  async get(name: string): Promise<Readable> {
    try {
      const path = join(await this.folderOf(checkName(name)), lastOf(name))
      const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
      return new GuardedStream(file.createReadStream({ highWaterMark: READ_BYTES }), (error) => this.told(error, name))
    } catch (error) {
      throw codeOf(error) === 'ENOENT' && (await this.isThere())
        ? notThere(this.uriOf(name), error)
        : this.told(error, name)
    }
  }

  async *list(prefix: string): AsyncIterable<StoredObject> {
    for await (const name of this.files(prefix))
      if (!lastOf(name).startsWith(UNFINISHED) && name.startsWith(prefix)) {
        const found = await this.look(name)
        if (found !== null) yield { name, bytes: found.size }
      }
  }

  async remove(name: string): Promise<void> {
    await this.removeFile(checkName(name))
  }

  async *unfinished(folder: string): AsyncIterable<UnfinishedObject> {
    for await (const name of this.files(folder))
      if (lastOf(name).startsWith(UNFINISHED) && name.startsWith(folder)) {
        const found = await this.look(name)
        if (found !== null) yield { name, upload: null, begunAt: found.mtime }
      }
  }

  async discard({ name }: UnfinishedObject): Promise<void> {
    if (lastOf(name).startsWith(UNFINISHED)) await this.removeFile(name)
  }

  async close(): Promise<void> {}

  /** Creates folders one in another, and returns the paths of all, beginning with the directory itself. */
  private async createFolders(names: readonly string[]): Promise<string[]> {
    const folders = [await realpath(this.destination.path)]
    for (const name of names) {
      const folder = join(folders.at(-1) ?? '', name)
      await mkdir(folder, FOLDER_MODE).catch(unlessExists)
      folders.push(await this.inside(folder))
    }
    return folders
  }

  private async publish(temporary: string, name: string, folders: readonly string[]): Promise<void> {
    const path = join(folders.at(-1) ?? '', lastOf(name))
    await link(temporary, path)
    try {
      // Also those that were there: whoever has created one may have been killed before it was durable.
      for (const folder of folders.toReversed()) await synchronize(folder)
    } catch (error) {
      await unlink(path).catch(unlessMissing)
      throw error
    }
  }

  /** The real path of a folder that is not outside of the directory by a symbolic link. */
  private async inside(folder: string): Promise<string> {
    const [root, real] = [await realpath(this.destination.path), await realpath(folder)]
    if (real === root || real.startsWith(root.endsWith(sep) ? root : root + sep)) return real
    throw Object.assign(new Error(`${folder} is a link out of the directory`), { code: 'ELOOP' })
  }

  private async folderOf(name: string): Promise<string> {
    return await this.inside(join(this.destination.path, ...name.split('/').slice(0, -1)))
  }

  private async isThere(): Promise<boolean> {
    return await stat(this.destination.path).then(
      (found) => found.isDirectory(),
      () => false,
    )
  }

  /** Names of files in folders that can hold such names, in the order of whole names. */
  private async *files(prefix: string, folder = ''): AsyncIterable<string> {
    for (const entry of await this.entries(folder)) {
      const name = folder + nameOf(entry)
      if (!entry.isDirectory()) yield name
      else if (name.startsWith(prefix) || prefix.startsWith(name)) yield* this.files(prefix, name)
    }
  }

  private async entries(folder: string): Promise<Dirent[]> {
    try {
      const entries = await readdir(join(this.destination.path, folder), { withFileTypes: true })
      return entries
        .filter((entry) => entry.isDirectory() || entry.isFile())
        .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
    } catch (error) {
      if (folder !== '' && codeOf(error) === 'ENOENT') return []
      throw this.told(error, folder)
    }
  }

  /** Null where it has been removed in the meantime. */
  private async look(name: string): Promise<{ readonly size: number; readonly mtime: Date } | null> {
    try {
      return await stat(join(this.destination.path, name))
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return null
      throw this.told(error, name)
    }
  }

  private async removeFile(name: string): Promise<void> {
    try {
      const folder = await this.folderOf(name)
      await unlink(join(folder, lastOf(name)))
      await synchronize(folder)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || !(await this.isThere())) throw this.told(error, name)
    }
  }

  private told(error: unknown, name: string): Error {
    if (codeOf(error) === 'EISDIR') return isFolder(this.uriOf(name), error)
    if (codeOf(error) === 'EEXIST') return existsAlready(this.uriOf(name), error)
    return directoryError(error, this.destination.path)
  }
}

async function createFile(path: string, content: Readable): Promise<void> {
  const file = await open(path, 'wx', FILE_MODE)
  try {
    await writeFile(file, content)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes the names in a folder durable. Some file systems, and Windows, cannot and need not. */
async function synchronize(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  let opened: FileHandle | null = null
  try {
    opened = await open(folder, constants.O_RDONLY)
    await opened.sync()
  } catch (error) {
    if (codeOf(error) !== 'EINVAL' && codeOf(error) !== 'ENOTSUP') throw error
  } finally {
    await opened?.close()
  }
}

function nameOf(entry: Dirent): string {
  return entry.isDirectory() ? `${entry.name}/` : entry.name
}

function lastOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1)
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

function unlessMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error
}

function unlessExists(error: unknown): void {
  if (codeOf(error) !== 'EEXIST') throw error
}
