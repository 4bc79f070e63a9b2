import type { TableName } from '../../../sql/names.ts'
import type { ArchiveRequest } from '../../archive/request.ts'
import type { GroupsOfRows } from '../../archive/rows.ts'
import type { Cascade } from '../../references/cascade.ts'
import type { GraphTable } from '../../../catalog/references/reference-graph.ts'
import { amongCandidates, type SetWalk } from '../candidate-sql.ts'
import type { CandidateSet } from '../candidate-set.ts'
import type { StoredKind } from '../stored-list.ts'
import type { PlannedSet } from '../set-steps.ts'
import type { KeyWalkColumn, PurgeLeaf, PurgeWork } from '../work.ts'
import type { Archiving } from './archiving.ts'
import type { ArchivedKeys } from './work.ts'

/** The set of a purge, and those of the rows that depend on its rows. */
export interface ArchivedSet extends PlannedSet {
  readonly request: ArchiveRequest
  readonly approvedBy: string | null
  readonly ticket: string | null
  /** The candidate set that it is copied from; null where the rows are recorded by this run. */
  readonly from: TableName | null
  /** Where the rows are those of groups. */
  readonly groups: GroupsOfRows | null
  /** It is a list of row versions: no other rows are deleted with them, and no set has been approved. */
  readonly listed: boolean
  /** Where Citus stores the table: it is a list that is stored like it. */
  readonly stored: StoredKind | undefined
  /** In the order of the receipt: each table after those that its rows reference. */
  readonly dependents: readonly DependentSet[]
}

export interface DependentSet {
  readonly table: GraphTable
  readonly walk: SetWalk
}

/** A set for the rows of `work`, which is a walk of the table or of a candidate set. */
export function archivedSet(
  request: ArchiveRequest,
  { place, key, listed, stored, dependents = [] }: Archiving & { readonly key: readonly KeyWalkColumn[] },
  work: PurgeWork,
  candidates: CandidateSet | undefined,
  { emptied }: Cascade,
  groups: GroupsOfRows | null,
): ArchivedSet {
  const sets = emptied.slice(1).map((table, i): DependentSet => {
    const { schema, name } = place
    const columns = dependents.find(({ oid }) => oid === table.oid)?.key ?? []
    return { table, walk: throughSet({ schema, name: `${name}_${i + 1}` }, columns, WHOLE) }
  })
  const base = { request, place, settings: work.settings, groups, stored, dependents: sets }
  if (candidates === undefined) {
    const leaves = work.leaves.map(({ name }) => name)
    const alone = listed === true && stored === undefined && sets.length === 0
    return { ...base, key, leaves, condition: work.where, from: null, listed: alone, approvedBy: null, ticket: null }
  }
  const { key: recorded, leaves, condition, approvedBy, ticket } = candidates
  return { ...base, key: recorded, leaves, condition, from: candidates.place, listed: false, approvedBy, ticket }
}

/** The number of the leaf for all rows of a table with partitions: its key is one of all of them. */
const WHOLE = 0

function throughSet(set: TableName, columns: readonly KeyWalkColumn[], leaf: number): SetWalk {
  return { kind: 'key', index: 'the archived keys', columns, unique: true, among: { set, leaf, consumed: true } }
}

/** A cascade to rows that are archived first. */
export function cascadeOf(cascade: Cascade, { place, key, dependents }: ArchivedSet): Cascade {
  if (dependents.length === 0) return cascade
  const sets = dependents.map(({ table, walk }) => [table.oid, walk] as const)
  const root = [cascade.root.oid, throughSet(place, key, WHOLE)] as const
  return { ...cascade, archived: Object.fromEntries([root, ...sets]) }
}

/** The deletion of what is in the set. */
export function deletionOf(work: PurgeWork, set: ArchivedSet): PurgeWork {
  if (set.stored !== undefined) return deletionOfStored(work, set)
  return set.listed ? deletionOfListed(work, set) : deletionOfSet(work, set)
}

function deletionOfListed(work: PurgeWork, { place, key }: ArchivedSet): PurgeWork {
  const leaves = work.leaves.map((leaf, i): PurgeLeaf => ({
    ...leaf,
    walk: { kind: 'blocks', listed: { list: place, leaf: i, key } },
  }))
  return { ...work, leaves }
}

function deletionOfStored(work: PurgeWork, { place, key }: ArchivedSet): PurgeWork {
  return { ...work, leaves: work.leaves.map((leaf, i) => ({ ...leaf, archived: { list: place, leaf: i, key } })) }
}

function deletionOfSet(work: PurgeWork, { place, key, from }: ArchivedSet): PurgeWork {
  const conditional = from === null ? { conditional: true as const } : {}
  const through = (leaf: PurgeLeaf, i: number): PurgeLeaf => {
    const walk = throughSet(place, key, amongCandidates(leaf.walk) ? leaf.walk.among.leaf : i)
    return { ...leaf, rowsPerBlock: null, walk: { ...walk, among: { ...walk.among, ...conditional } } }
  }
  return { ...work, leaves: work.leaves.map(through) }
}

/** Where the keys of all archived rows are, in the order of the receipt. */
export function keysOf(
  table: TableName,
  { place, key, listed, stored, dependents }: ArchivedSet,
): readonly ArchivedKeys[] {
  const names = (columns: readonly KeyWalkColumn[]) => columns.map(({ name }) => name)
  return [
    {
      table,
      set: place,
      columns: names(key),
      ...(listed ? { listed } : {}),
      ...(stored === undefined ? {} : { stored: true }),
    },
    ...dependents.map(({ table: { name }, walk }) => ({
      table: name,
      set: walk.among.set,
      columns: names(walk.columns),
    })),
  ]
}
