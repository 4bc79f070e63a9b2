import { createHash } from 'node:crypto'
import type { TableName } from '../../src/sql/names.ts'

/** Capitals, a dot, a quote, a space, an umlaut; on nobody's search path. */
export const AWFUL_SCHEMA = 'Sch.e"ma Ä'

const BYTES = 63

/** A name that hurts wherever quoting or length was forgotten; the same for the same given name, distinct for distinct ones. */
export function awfulName(name: string): TableName {
  const head = [...`${name}. "`].slice(0, 20).join('')
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 8)
  const room = BYTES - Buffer.byteLength(head) - hash.length
  const padding = 'Ü'.repeat(Math.floor(room / 2)) + 'X'.repeat(room % 2) // an umlaut has two bytes
  return { schema: AWFUL_SCHEMA, name: head + padding + hash }
}
