import { text as readText } from 'node:stream/consumers'
import { REMOVAL } from '../plan/archive/names.ts'
import type { Receipt } from '../plan/archive/receipt.ts'
import type { StoredRemoval } from '../plan/archive/removal.ts'
import { sameName, type TableName } from '../sql/names.ts'
import { difference, type Difference } from './content/difference.ts'
import { parseRemoval } from './removal-text.ts'
import { isStoreError } from './store-error.ts'
import type { Store } from './store.ts'
import type { FoundDifference } from './verify-receipt.ts'

/**
 * The removal document beside a receipt, below a folder (`…/`, or nothing for the store itself); null where nothing has
 * been removed because of it.
 */
export async function readRemoval(store: Store, folder = ''): Promise<StoredRemoval | null> {
  const name = `${folder}${REMOVAL}`
  try {
    return await parseRemoval(await readText(await store.get(name)), store.uriOf(name))
  } catch (error) {
    if (isStoreError(error, 'missing')) return null
    throw error
  }
}

/** In what it is not about the receipt, of which `digest` is that of the stored bytes. */
export function removalDifferences(removal: StoredRemoval, receipt: Receipt, digest: string): FoundDifference[] {
  const [first] = receipt.tables
  const note = (table: TableName, all: readonly Difference[]) =>
    all.map((one) => ({ table: { schema: table.schema, name: table.name }, object: REMOVAL, ...one }))
  return [
    ...(first === undefined ? [] : note(first, difference('SHA-256 of the receipt', digest, removal.receipt.sha256))),
    ...receipt.tables.flatMap((table) => {
      const told = removal.tables.find((one) => sameName(one, table))
      if (told === undefined) return note(table, difference('table', 'there', 'missing'))
      return note(table, [
        ...difference('rows archived', table.rows, told.archived),
        ...difference('rows deleted or kept', table.rows, told.deleted + told.kept),
      ])
    }),
  ]
}
