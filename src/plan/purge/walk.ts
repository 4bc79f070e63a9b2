import type { LeafIndex, LeafModel } from '../../catalog/partitions/purge-leaves.ts'
import { BLOCK_READ_SECONDS, DELETED_BY_BLOCK_SECONDS, DELETED_BY_KEY_SECONDS } from '../advise/rates.ts'
import type { KeyWalk, PurgeLeaf, Walk } from './work.ts'

// The access path to the rows of a leaf, and why. Reading all blocks in order is
// cheap per row; an index pays where few rows match.

/** With more rows per key value, a batch would read again those that earlier batches have deleted. */
const MOST_ROWS_PER_KEY = 1_000

/** Blocks may be fuller than the average. */
const FULLER = 2

export interface ChosenWalk {
  readonly leaf: PurgeLeaf
  readonly why: string
}

/** `orderBy` makes it an index that begins with this column; objections say where there is none. */
export function chooseWalk(leaf: LeafModel, orderBy: string | null): ChosenWalk {
  const { walk, why } = leaf.stored === undefined ? walkOf(leaf, orderBy) : walkOfStored(leaf)
  const { name, oid, blocks, matching, stored } = leaf
  const guessed = leaf.rows === null ? { notAnalyzed: true as const } : {}
  const elsewhere = stored === undefined ? {} : { stored }
  return {
    leaf: {
      name,
      oid,
      walk,
      blocks,
      rowsPerBlock: rowsPerBlock(leaf),
      estimatedRows: matching,
      ...guessed,
      ...elsewhere,
    },
    why,
  }
}

function walkOf(leaf: LeafModel, orderBy: string | null): { walk: Walk; why: string } {
  return orderBy === null ? cheaper(leaf) : inOrder(leaf, orderBy)
}

/** An address is that of another row in each copy, so copies are walked by a key; where none is, there is an objection. */
function walkOfStored(leaf: LeafModel): { walk: Walk; why: string } {
  const key = uniqueKey(leaf)
  if (leaf.stored === 'shards') return { walk: { kind: 'blocks' }, why: 'the same blocks of all shards at once' }
  return key === undefined
    ? { walk: { kind: 'blocks' }, why: 'no unique index' }
    : { walk: along(key), why: 'by key, for each copy has the rows at other addresses' }
}

/** A unique index over columns that are never null; the one of fewest columns. */
export function uniqueKey({ indexes }: Pick<LeafModel, 'indexes'>): LeafIndex | undefined {
  return indexes
    .filter(({ unique, columns }) => unique && columns.every(({ notNull }) => notNull))
    .sort((a, b) => a.columns.length - b.columns.length)[0]
}

function rowsPerBlock({ rows, blocks, deleteTriggers }: LeafModel): number | null {
  return rows === null || blocks === 0 || deleteTriggers.length > 0 ? null : Math.ceil((rows / blocks) * FULLER)
}

/** Whether positions are row addresses (ctid), or end with one. */
export function usesAddresses(walk: Walk): boolean {
  return walk.kind === 'blocks' || (!walk.unique && walk.among === undefined)
}

/** The index to walk for `--order-by`. */
export function indexInOrder({ indexes }: LeafModel, column: string): LeafIndex | undefined {
  return indexes
    .filter((index) => index.columns[0]?.name === column && isWalkable(index))
    .sort((a, b) => a.rowsPerKey - b.rowsPerKey || a.columns.length - b.columns.length)[0]
}

function isWalkable({ coversMatches, rowsPerKey }: LeafIndex): boolean {
  return coversMatches && rowsPerKey <= MOST_ROWS_PER_KEY
}

function inOrder(leaf: LeafModel, column: string): { walk: Walk; why: string } {
  const index = indexInOrder(leaf, column)
  if (index === undefined) return { walk: { kind: 'blocks' }, why: `no index is in the order of ${column}` }
  return { walk: along(index), why: `in the order of ${column}, as asked` }
}

function cheaper(leaf: LeafModel): { walk: Walk; why: string } {
  const index = leaf.indexes.find(({ name }) => name === leaf.plannedIndex)
  if (index === undefined) return { walk: { kind: 'blocks' }, why: 'no selective index' }
  const byBlocks = leaf.blocks * BLOCK_READ_SECONDS + leaf.matching * DELETED_BY_BLOCK_SECONDS
  const byKey = leaf.matching * DELETED_BY_KEY_SECONDS
  if (byBlocks <= byKey) return { walk: { kind: 'blocks' }, why: `too many rows match to use ${index.name}` }
  if (!isWalkable(index))
    return { walk: { kind: 'blocks' }, why: `${index.name} has too many rows per key value, or lacks some rows` }
  return { walk: along(index), why: `few rows match, and ${index.name} leads to them` }
}

function along({ name, columns, unique }: LeafIndex): KeyWalk {
  // A nullable column is not unique, even where all matching rows have a value.
  const distinct = unique && columns.every(({ notNull }) => notNull)
  return {
    kind: 'key',
    index: name,
    columns: columns.map(({ name, type, operators }) => ({ name, type, operators })),
    unique: distinct,
  }
}
