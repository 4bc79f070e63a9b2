import { quoted } from '../../sql/names.ts'
import { ordered, own } from '../../sql/operators.ts'
import { ident, join, raw, sql, type Sql } from '../../sql/sql.ts'
import {
  amongCandidates,
  besideEntry,
  leafNumber,
  sameKeyAsCandidate,
  unchangedSince,
  type SetWalk,
} from './candidate-sql.ts'
import type { BatchRange } from './batch-range.ts'
import { entries, isListed, sameVersion } from './version-list.ts'
import type { KeyWalk, PurgeLeaf, PurgeWork } from './work.ts'

// The rows of a part of a leaf, in the order of its walk: where they are, which of them match, and the positions at
// which the part begins and ends.

/** The condition for a row that was reached in another way. */
export function asked({ where }: PurgeWork, { walk }: PurgeLeaf): Sql {
  const matches = raw(`(${where}\n) is true`)
  return amongCandidates(walk) ? unchangedAnd(matches, walk) : matches
}

function unchangedAnd(matches: Sql, walk: SetWalk): Sql {
  const unchanged = sql`${unchangedSince(walk)} is true`
  return walk.among.conditional === true ? sql`${matches} and ${unchanged}` : unchanged
}

/** In an index walk the condition may determine where the walk ends. */
export function condition(work: PurgeWork, leaf: PurgeLeaf): Sql {
  const { walk } = leaf
  if (amongCandidates(walk)) return unchangedAnd(besideEntry(work.where), walk)
  return walk.kind === 'key' ? raw(`(${work.where}\n)`) : asked(work, leaf)
}

/** The rows of a part of the leaf as `t`; for a candidate set, and for a list, with its entries as `ebb_c`. */
export function source({ name, walk }: PurgeLeaf, range: BatchRange): Sql {
  const place = sql`only ${quoted(name)} t`
  if (isListed(walk)) return sql`(${entries({ walk }, range)}) ebb_c join ${place} on ${sameVersion()}`
  if (!amongCandidates(walk)) return place
  return sql`${quoted(walk.among.set)} ebb_c join ${place} on ${sameKeyAsCandidate(walk)}`
}

export function inRange({ walk }: PurgeLeaf, { after, upto }: BatchRange): Sql {
  const bounds = [
    ...(amongCandidates(walk) ? [leafNumber(walk)] : []),
    ...(after === null ? [] : [walk.kind === 'blocks' ? sql`t.ctid ${own('>')} ${after}` : beyond(walk, after)]),
    ...(upto === null ? [] : [walk.kind === 'blocks' ? sql`t.ctid ${own('<=')} ${upto}` : compared(walk, '<=', upto)]),
  ]
  return bounds.length === 0 ? raw('true') : join(bounds, ' and ')
}

function beyond(walk: KeyWalk, after: Sql): Sql {
  if (walk.unique) return compared(walk, '>', after)
  const address = sql`(${after} ${own('->>')} ${raw(String(walk.columns.length))})::pg_catalog.tid`
  const further = sql`${compared(walk, '>', after)} or ${compared(walk, '=', after)} and t.ctid ${own('>')} ${address}`
  return sql`${compared(walk, '>=', after)} and (${further})`
}

/**
 * The key in the order of its index. As a row where one operator compares all columns, which an index can follow to the
 * end; else column by column, and the index follows the first.
 */
function compared(walk: KeyWalk, operator: '<=' | '=' | '>=' | '>', at: Sql): Sql {
  const [first, ...others] = walk.columns.map(({ operators }) => ordered(operators, operator).text)
  if (others.every((other) => other === first))
    return sql`row(${keyList(walk)}) ${raw(first ?? operator)} row(${valueList(walk, at)})`
  return columnByColumn(walk, operator, at)
}

function columnByColumn(walk: KeyWalk, operator: '<=' | '=' | '>=' | '>', at: Sql): Sql {
  const pairs = walk.columns.map((column, i) => ({
    is: (by: '<' | '<=' | '=' | '>=' | '>') =>
      sql`${keyOf(walk, i)} ${ordered(column.operators, by)} ${valueOf(walk, i, at)}`,
  }))
  if (operator === '=')
    return join(
      pairs.map(({ is }) => is('=')),
      ' and ',
    )
  const strict = operator === '<=' ? '<' : '>'
  const orEqual = operator === '<=' ? '<=' : '>='
  const last = pairs.length - 1
  const beyond = pairs.map((pair, i) =>
    join([...pairs.slice(0, i).map(({ is }) => is('=')), pair.is(i === last ? operator : strict)], ' and '),
  )
  return sql`(${pairs[0]?.is(orEqual) ?? raw('true')} and (${join(beyond, ' or ')}))`
}

function keyOf({ columns, among }: KeyWalk, i: number): Sql {
  return sql`${raw(among === undefined ? 't' : 'ebb_c')}.${ident(columns[i]?.name ?? '')}`
}

function keyList(walk: KeyWalk): Sql {
  return join(walk.columns.map((_, i) => keyOf(walk, i)))
}

function valueOf({ columns }: KeyWalk, i: number, at: Sql): Sql {
  return sql`(${at} ${own('->>')} ${raw(String(i))})::${raw(columns[i]?.type ?? '')}`
}

function valueList(walk: KeyWalk, at: Sql): Sql {
  return join(walk.columns.map((_, i) => valueOf(walk, i, at)))
}

/** Besides the address, what a row of the walk is found again by. */
export function keyColumns({ walk }: PurgeLeaf): Sql {
  if (walk.kind === 'blocks') return raw(isListed(walk) ? ', t.xmin as ebb_xmin, ebb_c.ebb_last' : '')
  return join(
    walk.columns.map(({ name }, i) => sql`, t.${ident(name)} as ${keyName(i)}`),
    '',
  )
}

export function orderOf({ walk }: PurgeLeaf): Sql {
  return walk.kind === 'blocks' ? raw('t.ctid') : walk.unique ? keyList(walk) : sql`${keyList(walk)}, t.ctid`
}

// Qualified: a bare name would mean the column that is returned, which is text.
export function lastFirst({ walk }: PurgeLeaf): Sql {
  const names = walk.kind === 'blocks' ? [] : walk.columns.map((_, i) => keyName(i))
  return join([...names, raw('ebb_at')].map((name) => sql`candidate.${name} desc`))
}

/** As text: a row's address, or a JSON array of the key's values and the address. */
export function position({ walk }: PurgeLeaf): Sql {
  if (walk.kind === 'blocks') return raw('ebb_at::pg_catalog.text')
  const texts = walk.columns.map((_, i) => sql`${keyName(i)}::pg_catalog.text`)
  return sql`pg_catalog.json_build_array(${join([...texts, raw('ebb_at::pg_catalog.text')])})::pg_catalog.text`
}

export function keyName(i: number): Sql {
  return raw(`ebb_k${i}`)
}

export function count(rows: string): Sql {
  return raw(`(select pg_catalog.count(*) from ${rows})`)
}
