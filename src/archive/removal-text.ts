import type * as zod from 'zod'
import { EbbError, NOTHING_CHANGED } from '../errors.ts'
import { REMOVAL_FORMAT, type StoredRemoval } from '../plan/archive/removal.ts'

// Removal documents as they are stored. Members that a later version of Ebb has added without changing the format are no
// error.

/**
 * Reads a removal document of any format so far; `where` is its URI.
 *
 * @throws {EbbError} when it is damaged, or of a later format
 */
export async function parseRemoval(text: string, where: string): Promise<StoredRemoval> {
  const value = parseJson(text, where)
  const { format } = Object(value) as { readonly format?: unknown }
  if (typeof format === 'number' && format > REMOVAL_FORMAT) throw tooNew(where, format)
  const read = removalSchema(await import('zod')).safeParse(value)
  if (!read.success) throw damaged(where)
  return read.data
}

function removalSchema({ z }: typeof zod): zod.ZodType<StoredRemoval> {
  const text = z.string()
  const count = z.int().min(0)
  const time = z.iso.datetime()
  const table = { schema: text, name: text }
  const rows = {
    archived: count,
    deleted: count,
    kept: count,
    key: z.array(text).readonly(),
    keptKeys: z.array(z.array(text).readonly()).readonly(),
  }
  const document = {
    receipt: z.object({ uri: text, sha256: text }),
    run: z.object({ command: text, id: text.nullable(), startedAt: time, endedAt: time }),
    batches: count,
  }
  const how = z.enum(['deleted', 'dropped', 'truncated'])
  const present = z.object({
    ...document,
    format: z.literal(REMOVAL_FORMAT),
    how,
    tables: z
      .array(z.object({ ...table, ...rows }).refine(isWhole))
      .min(1)
      .readonly(),
  })
  const ofOneTable = z
    .object({ ...document, ...rows, format: z.literal(1), how: how.default('deleted'), table: z.object(table) })
    .refine(isWhole)
    .transform(({ table, archived, deleted, kept, key, keptKeys, ...rest }): StoredRemoval => ({
      ...rest,
      format: REMOVAL_FORMAT,
      tables: [{ ...table, archived, deleted, kept, key, keptKeys }],
    }))
  return z.union([present, ofOneTable])
}

/** A key without columns would be equal to every other. */
function isWhole({ kept, key, keptKeys }: Pick<StoredRemoval['tables'][number], 'kept' | 'key' | 'keptKeys'>): boolean {
  return keptKeys.length === kept && keptKeys.every((one) => one.length === key.length && one.length > 0)
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw damaged(where)
  }
}

function damaged(where: string): EbbError {
  return new EbbError(`${where} is damaged: which archived rows were kept cannot be read`, {
    state: NOTHING_CHANGED,
    next: 'Take it from a backup of the store, or restore into a new table with a copy of the folder that lacks it.',
  })
}

function tooNew(where: string, format: number): EbbError {
  return new EbbError(`${where} has the format ${format}, and this version of Ebb reads up to ${REMOVAL_FORMAT}`, {
    state: NOTHING_CHANGED,
    next: 'Use a later version of Ebb.',
  })
}
