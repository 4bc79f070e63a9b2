import type { ArchivedTable } from '../../plan/archive/receipt.ts'

/** Rows, and bytes as stored. */
export function sumOf(tables: readonly ArchivedTable[]): { readonly rows: number; readonly bytes: number } {
  const objects = tables.flatMap((table) => table.objects)
  return {
    rows: tables.reduce((sum, { rows }) => sum + rows, 0),
    bytes: objects.reduce((sum, { bytes }) => sum + bytes, 0),
  }
}
