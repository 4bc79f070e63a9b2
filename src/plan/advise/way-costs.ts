import type { TableModel } from '../../catalog/table/table-model.ts'
import {
  COPIED_BYTES_PER_SECOND,
  DELETED_ROWS_PER_SECOND,
  HASHED_BYTES_PER_SECOND,
  INDEXED_BYTES_PER_SECOND,
  READ_BYTES_PER_SECOND,
  WAL_PER_COPIED_BYTE,
  WAL_PER_DELETED_ROW,
  WAL_PER_INDEXED_BYTE,
  WAL_PER_VACUUMED_ROW,
  WIDER_KEY,
} from './rates.ts'

/** The costs of a method, by the rough rates of rates.ts. */
export interface WayCosts {
  /** Rows written or deleted; the others are only read, if at all. */
  readonly touchedRows: number
  readonly readBytes: number
  readonly walBytes: number
  readonly seconds: number
  /** Additional space, at most. */
  readonly diskBytes: number
  /** Space freed in the end. */
  readonly freedBytes: number
}

/** A table and the share to keep. */
export interface Quantities {
  readonly table: TableModel
  readonly rows: number
  readonly keptRows: number
}

/** Attaching scans the rows once; by time an index is built as well. */
export function attachCosts({ table }: Quantities, buildsIndex: boolean): WayCosts {
  const primary = table.indexes.find(({ primary }) => primary)
  const index = buildsIndex ? (primary?.bytes ?? 0) * WIDER_KEY : 0
  const readBytes = table.size.heap * (buildsIndex ? 2 : 1)
  return {
    touchedRows: 0,
    readBytes,
    walBytes: index * WAL_PER_INDEXED_BYTE,
    seconds: readBytes / READ_BYTES_PER_SECOND + index / INDEXED_BYTES_PER_SECOND,
    diskBytes: index,
    freedBytes: 0,
  }
}

/** Copying reads everything, writes the kept rows, and reads both sides again to compare them. */
export function copyCosts({ table, rows, keptRows }: Quantities): WayCosts {
  const share = rows === 0 ? 1 : Math.min(1, keptRows / rows)
  const { heap, toast, indexes } = table.size
  const kept = (heap + toast) * share
  return {
    touchedRows: keptRows,
    readBytes: 2 * (heap + toast) + kept,
    walBytes: kept * WAL_PER_COPIED_BYTE + indexes * share * WAL_PER_INDEXED_BYTE,
    seconds:
      heap / READ_BYTES_PER_SECOND +
      kept / COPIED_BYTES_PER_SECOND +
      (indexes * share) / INDEXED_BYTES_PER_SECOND +
      (heap + toast + kept) / HASHED_BYTES_PER_SECOND,
    diskBytes: kept + indexes * share,
    freedBytes: (heap + toast + indexes) * (1 - share),
  }
}

/**
 * Deleting touches only the removed rows, one by one, and leaves their space for reuse.
 *
 * @param lookUpSeconds the total cost of foreign keys without an index
 */
export function purgeCosts({ table, rows, keptRows }: Quantities, lookUpSeconds: number): WayCosts {
  const removed = Math.max(0, rows - keptRows)
  return {
    touchedRows: removed,
    readBytes: table.size.heap,
    walBytes: removed * (WAL_PER_DELETED_ROW + WAL_PER_VACUUMED_ROW),
    seconds: table.size.heap / READ_BYTES_PER_SECOND + removed / DELETED_ROWS_PER_SECOND + lookUpSeconds,
    diskBytes: 0,
    freedBytes: 0,
  }
}
