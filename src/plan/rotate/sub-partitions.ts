import type { Partition, PartitionedTable, SubPartition } from '../../catalog/partitions/partitioned-table.ts'
import { display, freeCompanion, type TableName } from '../../sql/names.ts'
import { raw } from '../../sql/sql.ts'
import { objection, unaccepted, when } from '../language/objection.ts'
import type { Objection } from '../language/step.ts'
import { canonicalJson } from '../language/stored.ts'
import { uncarried } from '../table/own-parts.ts'
import type { LeafShape, TreeShape } from '../table/leaf.ts'

// Sets whose partitions are themselves partitioned, by list, hash or range: a new one is divided as its siblings are.
// Bounds and history are those of the first level; below it nothing is decided.

/** The partitions that new ones may be like: those of a time, not the history of a converted table. */
function siblingsOf({ partitions }: PartitionedTable): Partition[] {
  return partitions.filter(
    ({ kind, range, isDefault, detachPending }) =>
      kind !== 'foreign' && !isDefault && !detachPending && range !== null && range.from !== null,
  )
}

/** The one that new partitions are divided like; undefined where they are not divided. */
function model(set: PartitionedTable): Partition | undefined {
  const newest = siblingsOf(set).at(-1)
  return newest?.tree == null ? undefined : newest
}

/** Whether partitions are divided alike, and so that it can be done again. */
export function subPartitionObjections(set: PartitionedTable, accept: readonly string[]): Objection[] {
  const newest = model(set)
  const siblings = siblingsOf(set)
  if (newest?.tree == null) return []
  const odd = newest.tree.children.find(
    (child) => child.kind !== 'table' || child.own.some((part) => uncarried(part) !== null),
  )
  const distinct = new Set(siblings.map(likeness))
  return [
    ...when(odd !== undefined, () => tooDeep(set, odd as SubPartition)),
    ...unaccepted(distinct.size > 1 ? [differ(set, newest)] : [], accept),
  ]
}

const CODE = 'siblings:sub-partitions'

function tooDeep(set: PartitionedTable, odd: SubPartition): Objection {
  const why = {
    partitioned: 'it is divided once more, into partitions of a third level',
    foreign: 'it is a foreign table',
    table: 'a trigger or a publication of its own cannot be given to another one',
  }[odd.kind]
  return objection(
    'sub-partitions',
    `new partitions of ${display(set.name)} cannot be divided like the newest: ${display(odd.name)} cannot be made again, for ${why}`,
    'Create the partitions ahead yourself; rotate goes on to retire them.',
  )
}

function differ(set: PartitionedTable, newest: Partition): Objection {
  return {
    code: CODE,
    what: `partitions of ${display(set.name)} are divided differently (other bounds, names, indexes, constraints, settings or privileges of their own partitions); how new ones are to be divided cannot be told`,
    fix: `Let all of them be alike; or let new partitions be divided like ${display(newest.name)}: --accept ${CODE}`,
    acceptable: true,
  }
}

/** Equal for partitions that are divided alike. */
function likeness(partition: Partition): string {
  const { tree } = partition
  if (tree === null) return 'not divided'
  const children = tree.children.map((child) => ({
    name: suffixOf(partition.name, child, ''),
    bounds: child.boundsText,
    kind: child.kind,
    options: child.options.toSorted(),
    rowSecurity: child.rowSecurity,
    identity: withoutTablespace(child.identity),
    own: child.own.map((part) => canonicalJson(nameless(part))).toSorted(),
  }))
  return canonicalJson({ by: tree.by, children: children.toSorted((a, b) => (a.bounds < b.bounds ? -1 : 1)) })
}

// Names of constraints and indexes are the partition's, and old partitions are moved to other disks.
function nameless(part: SubPartition['own'][number]): unknown {
  const named = !('definition' in part) && part.kind !== 'index'
  return named ? part : { ...part, name: '', tablespace: '' }
}

function withoutTablespace(identity: SubPartition['identity']): unknown {
  return typeof identity === 'object' ? { ...identity, tablespace: '' } : identity
}

/** What its name has beyond that of its parent. */
function suffixOf(parent: TableName, { name }: SubPartition, otherwise: string): string {
  return name.name.startsWith(parent.name) && name.name !== parent.name
    ? name.name.slice(parent.name.length)
    : otherwise
}

/** How a new partition is divided; null where it is not. `taken` are names that are in use. */
export function treeFor(
  set: PartitionedTable,
  partition: TableName,
  shape: LeafShape,
  taken: ReadonlySet<string>,
): TreeShape | null {
  const newest = model(set)
  if (newest?.tree == null) return null
  const used = new Set(taken)
  const children = newest.tree.children.map((child, i) => {
    const name = freeCompanion(partition.name, suffixOf(newest.name, child, `_${i + 1}`), used)
    used.add(name)
    const { tablespace, accessMethod, options, identity, own } = child
    const parent = partition
    return {
      name: { schema: child.name.schema, name },
      bounds: raw(child.boundsText),
      shape: { ...shape, parent, tablespace, accessMethod, options, identity, parts: own, triggers: [] },
    }
  })
  return { by: newest.tree.by, children }
}
