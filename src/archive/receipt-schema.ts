import type * as zod from 'zod'
import type { Reading } from '../plan/archive/reading.ts'
import type { ArchivedTable, Receipt } from '../plan/archive/receipt.ts'

// What a receipt looks like, for reading one and for docs/receipt.schema.json. Members that a later version of Ebb has
// added without changing the format are no error.

/** A receipt with what is written into it besides. */
interface StoredReceipt extends Receipt {
  readonly tables: readonly (ArchivedTable & { readonly reading: Reading })[]
}

/** The schema of a receipt, in the order in which it is written. */
export function receiptSchema({ z }: typeof zod): zod.ZodType<StoredReceipt> {
  const text = z.string()
  const time = z.iso.datetime()
  const count = z.int().min(0)
  const sha256 = z.string().regex(/^[0-9a-f]{64}$/)
  const table = { schema: text, name: text }
  const names = z.array(text).readonly()
  const column = z.object({
    name: text,
    number: z.int().min(1),
    type: text,
    notNull: z.boolean(),
    generated: z.boolean(),
    default: text.nullish(),
    identity: z.enum(['always', 'by default']).nullish(),
    collation: z.object(table).nullish(),
    comment: text.nullish(),
    types: z
      .array(z.object({ name: text, kind: z.enum(['enum', 'composite', 'domain', 'range']), parts: names }))
      .readonly()
      .nullish(),
  })
  const object = z.object({
    name: z.string().regex(/^[^/]+$/),
    rows: count,
    bytes: count,
    sha256,
    contentBytes: count,
    contentSha256: sha256,
    group: text.nullish(),
  })
  return z.object({
    format: z.int().min(1),
    id: text,
    createdAt: time,
    tool: text,
    run: z.object({
      command: text,
      id: text.nullable(),
      startedBy: text,
      approvedBy: text.nullable(),
      ticket: text.nullable(),
    }),
    database: z.object({ name: text, systemIdentifier: text.nullable(), serverVersion: text }),
    tables: z
      .array(
        z.object({
          ...table,
          oid: text,
          partitionOf: z.object({ ...table, bounds: text }).nullable(),
          where: text.nullable(),
          horizon: text.nullable(),
          columns: z.array(column).readonly(),
          primaryKey: names.nullish(),
          comment: text.nullish(),
          ddl: names,
          fingerprint: sha256,
          key: z.object({ columns: names, first: names, last: names }).nullable(),
          groupedBy: text.nullish(),
          rows: count,
          sha256,
          objects: z.array(object).min(1).readonly(),
          reading: z.object({ copy: names, duckdb: text.nullable() }),
        }),
      )
      .min(1)
      .readonly(),
    encoding: z.object({
      format: z.enum(['csv', 'parquet']),
      settings: z.record(text, text),
      compression: z.enum(['zstd', 'gzip', 'none']),
      encryption: z.object({ kind: z.literal('age'), recipients: z.array(text).min(1).readonly() }).nullable(),
    }),
  })
}
