import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { reasonOf } from '../../../db/sqlstate.ts'
import { ArchiveError } from '../../archive-error.ts'
import { DuckDb } from './duckdb.ts'

/** A private folder for the files of one object, and the DuckDB that works on them; made when they are needed. */
export class Scratch {
  private readonly made: { folder?: Promise<string>; duckdb?: Promise<DuckDb> } = {}
  private closed = false

  /** Of a file in it. */
  async path(name: string): Promise<string> {
    return join(await this.folder(), name)
  }

  async duckdb(columns = 0): Promise<DuckDb> {
    return (this.made.duckdb ??= this.folder().then((folder) => DuckDb.open(folder, columns)))
  }

  /** Stops DuckDB, and removes the folder. */
  async close(): Promise<void> {
    this.closed = true
    const { folder, duckdb } = this.made
    await (await duckdb?.catch(() => undefined))?.close()
    const path = await folder?.catch(() => undefined)
    if (path !== undefined) await rm(path, { recursive: true, force: true, maxRetries: 3 })
  }

  private async folder(): Promise<string> {
    if (this.closed) throw new Error('what worked on this object has been stopped')
    return (this.made.folder ??= makeFolder())
  }
}

/** Whether there is a place for temporary files. @throws {EbbError} if not */
export async function tryScratch(): Promise<void> {
  await rm(await makeFolder(), { recursive: true })
}

/** Nobody else can look into it (0700). */
async function makeFolder(): Promise<string> {
  const path = tmpdir()
  try {
    return await mkdtemp(join(await realpath(path), 'ebb-parquet-'))
  } catch (error) {
    throw new ArchiveError(
      `temporary files cannot be made in ${path}: ${reasonOf(error)}`,
      'Set TMPDIR to a directory that can be written to, and run the same command again. Rows can also be archived as CSV.',
      'failed',
      error,
    )
  }
}
