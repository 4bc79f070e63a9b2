import { createHash } from 'node:crypto'
import { EbbError, NOTHING_CHANGED } from '../errors.ts'
import { RECEIPT_FORMAT, type Receipt } from '../plan/archive/receipt.ts'
import { readingOf } from '../plan/archive/reading.ts'
import { receiptSchema } from './receipt-schema.ts'

/**
 * A receipt as it is stored, with how each table is read without Ebb. The same receipt has the same bytes, whatever the
 * order in which it was put together.
 */
export async function receiptText(receipt: Receipt): Promise<string> {
  const { encoding, tables } = receipt
  const readable = tables.map((table) => ({ ...table, reading: readingOf(table, encoding) }))
  const schema = receiptSchema(await import('zod'))
  return `${JSON.stringify(schema.parse({ ...receipt, tables: readable }), null, 2)}\n`
}

/** Loads what receipts are checked with: that takes a while, best when something else is waited for. */
export function loadBeforehand(): void {
  import('zod').catch(() => {}) // who needs it is told
}

/** The digest of a receipt: SHA-256 of its bytes as they are stored, as `sha256sum` has it. */
export function receiptDigest(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex')
}

/**
 * Reads a receipt; `where` is its URI.
 *
 * @throws {EbbError} when it is damaged, or of a later format
 */
export async function parseReceipt(text: string, where: string): Promise<Receipt> {
  const value = parseJson(text, where)
  if (Object(value) === value && 'receipt' in (value as object)) throw damaged(where, 'it records a removal')
  const format = formatOf(value)
  if (format !== null && format > RECEIPT_FORMAT) throw tooNew(where, format)
  const read = receiptSchema(await import('zod')).safeParse(value)
  if (!read.success) throw damaged(where, read.error.issues.map(issueText).join('; '))
  return read.data
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw damaged(where, 'it is not JSON', error)
  }
}

function formatOf(value: unknown): number | null {
  const { format } = Object(value) as { readonly format?: unknown }
  return typeof format === 'number' ? format : null
}

function issueText({ path, message }: { readonly path: readonly PropertyKey[]; readonly message: string }): string {
  const at = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
  return `${at === '' ? 'the whole' : at.slice(1)}: ${message}`
}

function damaged(where: string, what: string, cause?: unknown): EbbError {
  return new EbbError(
    `${where} is not a receipt, or is damaged: ${what}`,
    {
      state: NOTHING_CHANGED,
      next: 'Name the receipt.json of an archive; ebb archive list shows those of a store. A damaged one has to come from a backup of the store: the objects beside it are not touched.',
    },
    'failed',
    cause,
  )
}

function tooNew(where: string, format: number): EbbError {
  return new EbbError(`${where} has the format ${format}, and this version of Ebb reads up to ${RECEIPT_FORMAT}`, {
    state: NOTHING_CHANGED,
    next: 'Use a later version of Ebb.',
  })
}
