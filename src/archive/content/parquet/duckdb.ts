import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { reasonOf } from '../../../db/sqlstate.ts'
import { ArchiveError } from '../../archive-error.ts'
import { optional } from '../../optional.ts'

const PACKAGE = '@duckdb/node-api'

/** @throws {EbbError} if it is not installed */
export function loadDuckDb(): Promise<typeof import('@duckdb/node-api')> {
  return optional(() => import('@duckdb/node-api'), PACKAGE)
}

/** More is not needed, for row groups are small; DuckDB would take most of the machine. */
const MEMORY_MB = 256
/** But it holds 2,048 values of each column at a time, as text and as what they are, however few rows there are. */
const MEMORY_MB_PER_COLUMN = 0.32

/** What a DuckDB is for. */
export interface Work {
  /** Of the table that it is to write. */
  readonly columns: number
  /** Row groups hold a number of rows, which takes little memory: so two threads may work. */
  readonly narrow: boolean
}

/** One DuckDB, in memory, that sees one folder and loads no extensions. */
export class DuckDb {
  private readonly instance: DuckDBInstance
  private readonly connection: DuckDBConnection

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection) {
    this.instance = instance
    this.connection = connection
  }

  static async open(folder: string, { columns, narrow }: Work): Promise<DuckDb> {
    const { DuckDBInstance } = await loadDuckDb()
    const instance = await DuckDBInstance.create(':memory:', {
      // Row groups end by size only where the order need not be preserved; with one thread, it is.
      threads: narrow ? '2' : '1',
      preserve_insertion_order: String(narrow),
      memory_limit: `${Math.max(MEMORY_MB, Math.ceil(columns * MEMORY_MB_PER_COLUMN))}MB`,
      temp_directory: `${folder}/spilled`,
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    })
    const duckdb = new DuckDb(instance, await instance.connect())
    await duckdb.run(`set allowed_directories = ['${folder.replaceAll("'", "''")}/']`)
    await duckdb.run('set enable_external_access = false')
    await duckdb.run('set lock_configuration = true')
    return duckdb
  }

  /** @throws {EbbError} that says what DuckDB says, without values of rows */
  async run(statement: string): Promise<void> {
    await this.do(() => this.connection.run(statement))
  }

  async rows(query: string): Promise<unknown[][]> {
    return this.do(async () => (await this.connection.runAndReadAll(query)).getRowsJson())
  }

  /** The statement that runs fails. */
  interrupt(): void {
    this.connection.interrupt()
  }

  /** When no statement runs. */
  close(): void {
    this.connection.closeSync()
    this.instance.closeSync()
  }

  private async do<T>(work: () => Promise<T>): Promise<T> {
    return work().catch((error: unknown) => {
      throw failed(error)
    })
  }
}

/** The lines after the first have what it has read. */
function failed(error: unknown): ArchiveError {
  const [reason = ''] = reasonOf(error).split('\n')
  return new ArchiveError(
    `DuckDB failed: ${reason}`,
    'If it lacks space for temporary files, set TMPDIR to a directory that has some. Rows can also be archived as CSV.',
    'failed',
    error,
  )
}
