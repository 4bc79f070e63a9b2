import type { ArchiveFormat } from '../../plan/archive/request.ts'
import { CSV } from './csv.ts'
import type { Format } from './format.ts'
import { PARQUET } from './parquet/parquet.ts'

/** All of them. */
export const FORMATS: Readonly<Record<ArchiveFormat, Format>> = { csv: CSV, parquet: PARQUET }
