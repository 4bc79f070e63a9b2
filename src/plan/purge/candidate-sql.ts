import { quoted } from '../../sql/names.ts'
import { ordered, own } from '../../sql/operators.ts'
import { ident, join, raw, sql, type Sql } from '../../sql/sql.ts'
import type { KeyWalk, SetPart, Walk } from './work.ts'

// Candidate sets in SQL: a table of keys, each with the number of its leaf, a
// fingerprint of the row and its size. In statements a row of the set is
// `ebb_c`, the row that it stands for is `t`.

/** Columns of every set besides those of the key. */
export const SET_COLUMNS = { leaf: 'ebb_leaf', fingerprint: 'ebb_fingerprint', bytes: 'ebb_bytes' } as const

/**
 * What a row holds, as one number: of its text, which tells 1.0 from 1.00
 * and 'a' from 'A' where a hash of values need not, and exists for every type. It
 * is stable across VACUUM, freezing, rewrites and restores, which ctid and
 * xmin are not; two different rows have the same one once in 2^64. `t.*` is the
 * whole row even where a column is called t.
 */
export function fingerprintOf(row = 't'): Sql {
  return raw(`pg_catalog.hashtextextended((${row}.*)::pg_catalog.text, 0)`)
}

/** Bytes of a row, out-of-line values included. */
export function bytesOf(row = 't'): Sql {
  return raw(`pg_catalog.pg_column_size(${row}.*)`)
}

/** The walk of a candidate set. */
export interface SetWalk extends KeyWalk {
  readonly among: SetPart
}

export function amongCandidates(walk: Walk): walk is SetWalk {
  return walk.kind === 'key' && walk.among !== undefined
}

/** Joins a row of the set to its row. */
export function sameKeyAsCandidate({ columns }: Pick<KeyWalk, 'columns'>, side = 'ebb_c', row = 't'): Sql {
  const pairs = columns.map(
    ({ name, operators }) => sql`${raw(side)}.${ident(name)} ${ordered(operators, '=')} ${raw(row)}.${ident(name)}`,
  )
  return join(pairs, ' and ')
}

export function leafNumber({ among }: SetWalk, side = 'ebb_c'): Sql {
  return sql`${raw(side)}.${ident(SET_COLUMNS.leaf)} ${own('=')} ${raw(String(among.leaf))}`
}

/**
 * True of a row that is in the set and holds what it held then. It looks the
 * set up by itself, so that PostgreSQL can ask it again of the newest version of
 * a row, and always by the key: `exists` might be answered by reading the whole set.
 */
export function unchangedSince(walk: SetWalk, row = 't'): Sql {
  const written = sql`select ebb_s.${ident(SET_COLUMNS.fingerprint)} from ${quoted(walk.among.set)} ebb_s
    where ${leafNumber(walk, 'ebb_s')} and ${sameKeyAsCandidate(walk, 'ebb_s', row)}`
  return sql`((${written}) ${own('=')} ${fingerprintOf(row)})`
}

/** A condition on a row `t` that is joined with its entry, whose columns have the same names: never null. */
export function besideEntry(where: string): Sql {
  return raw(`((select (${where}\n) from (select t.tableoid, t.ctid, t.*) t) is true)`)
}
