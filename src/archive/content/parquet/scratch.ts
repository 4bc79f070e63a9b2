import { lstat, mkdtemp, readdir, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { reasonOf } from '../../../db/sqlstate.ts'
import { ArchiveError } from '../../archive-error.ts'
import { DuckDb, type Work } from './duckdb.ts'

/** A private folder for the files of one object, made when it is needed, and the DuckDB that works on them. */
export class Scratch {
  private made: Promise<string> | undefined
  private duckdb: DuckDb | null = null
  private working: Promise<unknown> = Promise.resolve()
  private closed = false

  /** Of a file in it. */
  async path(name: string): Promise<string> {
    return join(await this.folder(), name)
  }

  /** Works with a DuckDB: one at a time in the whole process, for each takes its memory. */
  async withDuckDb<T>(what: Work, work: (duckdb: DuckDb) => Promise<T>): Promise<T> {
    return inTurn(() => {
      const working = this.openFor(what, work)
      this.working = working
      return working
    })
  }

  /** Stops DuckDB, and removes the folder. */
  async close(): Promise<void> {
    this.closed = true
    this.duckdb?.interrupt()
    await this.working.catch(() => {})
    const path = await this.made?.catch(() => undefined)
    if (path !== undefined) await rm(path, { recursive: true, force: true, maxRetries: 3 })
  }

  private async openFor<T>(what: Work, work: (duckdb: DuckDb) => Promise<T>): Promise<T> {
    const duckdb = await DuckDb.open(await this.folder(), what)
    try {
      if (this.closed) throw stopped()
      this.duckdb = duckdb
      return await work(duckdb)
    } finally {
      this.duckdb = null
      duckdb.close()
    }
  }

  private async folder(): Promise<string> {
    if (this.closed) throw stopped()
    return (this.made ??= makeFolder())
  }
}

function stopped(): Error {
  return new Error('what worked on this object has been stopped')
}

let lastTurn: Promise<unknown> = Promise.resolve()

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const turn = lastTurn.then(work)
  lastTurn = turn.catch(() => {})
  return turn
}

/** Whether there is a place for temporary files. @throws {EbbError} if not */
export async function tryScratch(): Promise<void> {
  await rm(await makeFolder(), { recursive: true })
  await removeForgotten(await realpath(tmpdir()))
}

/** Folders of processes that were killed: an object is made within a day, and its files are not encrypted. */
async function removeForgotten(among: string): Promise<void> {
  const names = await readdir(among).catch(() => [])
  for (const name of names) if (name.startsWith(PREFIX)) await removeIfForgotten(join(among, name)).catch(() => {})
}

async function removeIfForgotten(path: string): Promise<void> {
  const { mtimeMs, uid } = await lstat(path)
  const own = process.getuid === undefined || uid === process.getuid()
  if (own && mtimeMs < Date.now() - FORGOTTEN_MS) await rm(path, { recursive: true })
}

const PREFIX = 'ebb-parquet-'
const FORGOTTEN_MS = 24 * 60 * 60 * 1000

/** Nobody else can look into it (0700). */
function makeFolder(): Promise<string> {
  return onTemporary('made', async () => mkdtemp(join(await realpath(tmpdir()), PREFIX)))
}

/** Does something with temporary files. @throws {EbbError} that says where they are if the file system refuses it */
export async function onTemporary<T>(done: 'made' | 'written', work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw new ArchiveError(
      `temporary files cannot be ${done} in ${tmpdir()}: ${reasonOf(error)}`,
      'Set TMPDIR to a directory that can be written to and has space, and run the same command again. Rows can also be archived as CSV.',
      'failed',
      error,
    )
  }
}
