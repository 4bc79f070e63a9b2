import type { GraphReference, GraphTable, ReferenceGraph } from '../../catalog/references/reference-graph.ts'
import { display, sameName, type TableName } from '../../sql/names.ts'
import type { SetWalk } from '../purge/candidate-sql.ts'
import { parentsFirst, walkReferences, type Ruling, type WalkedReference } from './graph.ts'

/** The user's options for rows of other tables that reference deleted rows. */
export interface CascadeRequest {
  /** They are deleted too. Without it a referenced row is kept. */
  readonly cascade: boolean
  /** Tables of which no row may be touched: rows leading to one are kept. */
  readonly protect: readonly TableName[]
}

/** What deleting rows of the root means for related tables. Plain data, stored in the journal with the plan. */
export interface Cascade {
  readonly root: GraphTable
  /** The way down from the root, as it is shown. */
  readonly walked: readonly WalkedReference[]
  /** The tables from which rows are deleted, the root first, each before all that reference it. */
  readonly emptied: readonly GraphTable[]
  readonly protected: readonly GraphTable[]
  /** Why rows that match the condition are kept. */
  readonly reasons: readonly Reason[]
  /** Where rows are archived first: the sets of the root and of all tables that are emptied. */
  readonly archived?: ArchivedSets
}

/** By oid of the table: the set with the keys of its archived rows. */
export type ArchivedSets = Readonly<Record<string, SetWalk>>

/** A row stays when one of the branches leads from it to a row. */
export interface Reason {
  readonly code: string
  /** Follows `2 rows`. */
  readonly what: string
  readonly branches: readonly Branch[]
}

/** From a row to the rows that refer to it, and on from those; where there is nothing further, any such row counts. */
export interface Branch {
  readonly reference: GraphReference
  readonly from: GraphTable
  readonly onwards: readonly Branch[]
}

/** Decides what happens to everything that references rows of the root. */
export function planCascade(graph: ReferenceGraph, request: CascadeRequest): Cascade {
  const spared = graph.tables.filter(({ name }) => isProtected(name, request))
  const walked = walkReferences(graph, (reference) => ruling(reference, spared, request.cascade))
  return {
    root: graph.root,
    walked,
    emptied: parentsFirst(graph.root, walked),
    protected: spared,
    reasons: [
      ...spared.flatMap((table) => protectedReason(graph.root, walked, table)),
      ...heldReasons(graph.root, walked),
    ],
  }
}

function isProtected(name: TableName, { protect }: CascadeRequest): boolean {
  return protect.some((other) => sameName(other, name))
}

function ruling(reference: GraphReference, spared: readonly GraphTable[], cascade: boolean): Ruling {
  const { onDelete } = reference
  if (spared.some(({ oid }) => oid === reference.from)) return 'protected'
  if (reference.cannotSetNull) return 'held'
  if (onDelete === 'set null' || onDelete === 'set default') return onDelete
  return cascade ? 'followed' : 'held'
}

function protectedReason(root: GraphTable, walked: readonly WalkedReference[], table: GraphTable): Reason[] {
  const branches = branchesTo(root, walked, (one) => one.fate === 'protected' && one.from.oid === table.oid)
  if (branches.length === 0) return []
  const name = display(table.name)
  return [{ code: `protected:${name}`, what: `leading to rows of ${name}, which is protected`, branches }]
}

function heldReasons(root: GraphTable, walked: readonly WalkedReference[]): Reason[] {
  return walked
    .filter(({ fate }) => fate === 'held')
    .map((held) => {
      const name = `${display(held.from.name)}.${held.reference.name}`
      const through = held.depth === 0 ? 'referenced' : 'leading to a referenced row'
      return {
        code: `referenced:${name}`,
        what: `${through} by ${name}`,
        branches: branchesTo(root, walked, (one) => one === held),
      }
    })
}

/** All ways from a table down to references of one kind, along those that are followed. */
function branchesTo(
  to: GraphTable,
  walked: readonly WalkedReference[],
  isEnd: (one: WalkedReference) => boolean,
): Branch[] {
  return walked
    .filter((one) => one.to.oid === to.oid)
    .flatMap((one) => {
      const { reference, from } = one
      if (isEnd(one)) return [{ reference, from, onwards: [] }]
      if (one.fate !== 'followed') return []
      const onwards = branchesTo(from, walked, isEnd)
      return onwards.length === 0 ? [] : [{ reference, from, onwards }]
    })
}

/** The tables without repetitions. */
export function distinctTables(tables: readonly GraphTable[]): GraphTable[] {
  return tables.filter((table, position) => tables.findIndex(({ oid }) => oid === table.oid) === position)
}
