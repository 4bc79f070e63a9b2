import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { typeNamed, type ParquetType } from '../../../plan/archive/parquet/column-types.ts'
import {
  fileColumns,
  findNotExact,
  groupRowsOf,
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
import type { PartMeasures } from '../parts.ts'
import { loadDuckDb, type DuckDb } from './duckdb.ts'
import { notGivenBack, unreadable } from './errors.ts'
import { Scratch, tryScratch } from './scratch.ts'
import { spool, spoolBytes } from './spool.ts'

// Parquet, by DuckDB: the rows pass through files in a private folder, in neither direction through JavaScript. Whether
// each value is held exactly shows the digest of the CSV that is made of the file again, before it is stored: from then
// on, its bytes prove its rows.

export const PARQUET: Format = {
  // Of a short number eight bytes, in the worst case.
  growth: 2,
  async load() {
    await loadDuckDb()
    await tryScratch()
  },
  write: (rows, encoding, sent) => withScratch((source, scratch) => write(source, scratch, rows, encoding, sent)),
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
  sent: () => PartMeasures,
): AsyncGenerator<Uint8Array> {
  const { header, files } = await spool(source, scratch)
  const [to, again] = [await scratch.path('rows.parquet'), await scratch.path('rows.csv')]
  const file = { columns: fileColumns(columns, settings, asText), from: files, to, compression, header }
  const work = { columns: columns.length, narrow: groupRowsOf(file) !== null }
  await scratch.withDuckDb(work, (duckdb) => duckdb.run(writeFile(file)))
  const digest = await digestOf(await scratch.withDuckDb(work, (duckdb) => makeCsv(duckdb, to, again)), again)
  if (digest !== sent().sha256) throw await scratch.withDuckDb(work, (duckdb) => whyDifferent(duckdb, file))
  yield* createReadStream(to) as AsyncIterable<Uint8Array>
}

async function whyDifferent(duckdb: DuckDb, file: FileToWrite): Promise<Error> {
  const [[found = []] = []] = (await duckdb.rows(findNotExact(file))) as boolean[][][]
  const columns = file.columns.flatMap(({ name }, i) => (found[i] === true ? [name] : []))
  return columns.length > 0 ? new NotExactError(columns) : notGivenBack()
}

async function digestOf(header: string, rows: string): Promise<string> {
  const hash = createHash('sha256').update(header)
  for await (const chunk of createReadStream(rows) as AsyncIterable<Buffer>) hash.update(chunk)
  return hash.digest('hex')
}

async function* read(
  source: AsyncIterable<Uint8Array>,
  scratch: Scratch,
  whole: () => void,
): AsyncGenerator<Uint8Array> {
  const [file, rows] = [await scratch.path('rows.parquet'), await scratch.path('rows.csv')]
  await spoolBytes(source, file)
  whole()
  yield Buffer.from(await scratch.withDuckDb({ columns: 0, narrow: false }, (duckdb) => makeCsv(duckdb, file, rows)))
  yield* createReadStream(rows) as AsyncIterable<Uint8Array>
}

/** Writes the rows of a file as CSV, and returns its header. */
async function makeCsv(duckdb: DuckDb, file: string, rows: string): Promise<string> {
  const [[header] = []] = await duckdb.rows(readHeader(file))
  if (typeof header !== 'string') throw unreadable('it has no header of CSV')
  await duckdb.run(writeRows(file, (await duckdb.rows(readTypes(file))).map(typeOf), rows))
  return header
}

function typeOf([name]: readonly unknown[]): ParquetType {
  const type = typeNamed(String(name))
  if (type === null) throw unreadable(`it has a column of the type ${String(name)}`)
  return type
}
