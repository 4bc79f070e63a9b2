import { join, raw, sql } from '../../sql/sql.ts'
import type { Cascade } from './cascade.ts'
import { refers, rowsOf } from './cascade-sql.ts'

/**
 * By oid of each dependent table, what follows `from … t` and selects its rows that reference a chosen row of the root, directly
 * or through rows of other tables. Of rows that reference others of their own table, those further down are left out.
 *
 * @param chosen the same of the root
 */
export function dependentRows({ root, emptied, walked }: Cascade, chosen: string): ReadonlyMap<string, string> {
  const found = new Map([[root.oid, chosen]])
  for (const { oid } of emptied.slice(1)) {
    const ways = walked.filter(({ from, fate }) => fate === 'followed' && from.oid === oid)
    const references = ways.map(
      ({ reference, to }) =>
        sql`exists (select from (select t.* from ${rowsOf(to)} t ${raw(found.get(to.oid) ?? '')}) p where ${refers(reference, 't', 'p')})`,
    )
    found.set(oid, sql`where ${join(references, ' or ')}`.text)
  }
  found.delete(root.oid)
  return found
}
