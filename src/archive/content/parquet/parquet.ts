import { createReadStream } from 'node:fs'
import { reasonOf } from '../../../db/sqlstate.ts'
import { typeNamed, type ParquetType } from '../../../plan/archive/parquet/column-types.ts'
import {
  fileColumns,
  findNotExact,
  NOT_EXACT,
  readHeader,
  readTypes,
  writeFile,
  writeRows,
  type FileToWrite,
} from '../../../plan/archive/parquet/statements.ts'
import type { Encoding } from '../../../plan/archive/receipt.ts'
import type { Step } from '../encryption.ts'
import type { Conversion, Format, RowsToWrite } from '../format.ts'
import { NotExactError } from '../not-exact.ts'
import { loadDuckDb, type DuckDb } from './duckdb.ts'
import { unreadable } from './errors.ts'
import { Scratch, tryScratch } from './scratch.ts'
import { spool, spoolBytes } from './spool.ts'

// Parquet, by DuckDB: the rows pass through files in a private folder, in neither direction through JavaScript. Whether
// each value is held exactly is asked while it is written; whether all of it was right shows the digest of the CSV that
// is made of the file again.

export const PARQUET: Format = {
  // Of a short number eight bytes, in the worst case.
  growth: 2,
  async load() {
    await loadDuckDb()
    await tryScratch()
  },
  write: (rows, encoding) => withScratch((source, scratch) => write(source, scratch, rows, encoding)),
  read: (_encoding, whole) => withScratch((source, scratch) => read(source, scratch, whole)),
}

function withScratch(step: (source: AsyncIterable<Uint8Array>, scratch: Scratch) => ReturnType<Step>): Conversion {
  const scratch = new Scratch()
  return { steps: [(source) => step(source, scratch)], close: () => scratch.close() }
}

async function* write(
  source: AsyncIterable<Uint8Array>,
  scratch: Scratch,
  { columns, asText }: RowsToWrite,
  { compression, settings }: Encoding,
): AsyncGenerator<Uint8Array> {
  const { header, files } = await spool(source, scratch)
  const to = await scratch.path('rows.parquet')
  const file = { columns: fileColumns(columns, settings, asText), from: files, to, compression, header }
  await scratch.withDuckDb(columns.length, (duckdb) => writeExactly(duckdb, file))
  yield* createReadStream(to) as AsyncIterable<Uint8Array>
}

/** @throws {NotExactError} if a value is not held by the type of its column */
async function writeExactly(duckdb: DuckDb, file: FileToWrite): Promise<void> {
  try {
    await duckdb.run(writeFile(file))
  } catch (error) {
    if (!reasonOf(error).includes(NOT_EXACT)) throw error
    const [[found = []] = []] = (await duckdb.rows(findNotExact(file))) as boolean[][][]
    throw new NotExactError(file.columns.flatMap(({ name }, i) => (found[i] === true ? [name] : [])))
  }
}

async function* read(
  source: AsyncIterable<Uint8Array>,
  scratch: Scratch,
  whole: () => void,
): AsyncGenerator<Uint8Array> {
  const [file, rows] = [await scratch.path('rows.parquet'), await scratch.path('rows.csv')]
  await spoolBytes(source, file)
  whole()
  yield await scratch.withDuckDb(0, async (duckdb) => {
    const [[header] = []] = await duckdb.rows(readHeader(file))
    if (typeof header !== 'string') throw unreadable('it has no header of CSV')
    await duckdb.run(writeRows(file, (await duckdb.rows(readTypes(file))).map(typeOf), rows))
    return Buffer.from(header)
  })
  yield* createReadStream(rows) as AsyncIterable<Uint8Array>
}

function typeOf([name]: readonly unknown[]): ParquetType {
  const type = typeNamed(String(name))
  if (type === null) throw unreadable(`it has a column of the type ${String(name)}`)
  return type
}
