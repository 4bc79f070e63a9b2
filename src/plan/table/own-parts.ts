import type { OwnPart } from '../../catalog/partitions/own-parts.ts'
import type { LeafIdentity, Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { ident, raw, sql } from '../../sql/sql.ts'
import { canonicalJson } from '../language/stored.ts'
import type { Objection } from '../language/step.ts'
import * as definitions from './definitions.ts'
import { describeGrant } from './fact.ts'
import { grantsBeside } from './privileges.ts'

// What partitions have by themselves, and not from their parent. Where all have it, so have new ones; where some do,
// only their owner knows what a new one should be like.

/** Those that hold rows, and were made to be partitions or have become some. */
function siblingsOf({ partitions }: PartitionedTable): Partition[] {
  return partitions.filter(({ kind, range, detachPending }) => kind === 'table' && range !== null && !detachPending)
}

/** The parts that all partitions have: what new ones are given. */
export function commonParts(set: PartitionedTable): OwnPart[] {
  return tally(set).flatMap(({ part, have, of }) => (have === of && of > 1 && uncarried(part) === null ? [part] : []))
}

interface Counted {
  readonly part: OwnPart
  /** So many partitions have it, of so many. */
  readonly have: number
  readonly of: number
}

function tally(set: PartitionedTable): Counted[] {
  const siblings = siblingsOf(set)
  const parts = siblings.flatMap((sibling) => sibling.own.filter((part) => isAsked(sibling, part.kind)))
  const counts = new Map<string, { part: OwnPart; have: number }>()
  for (const part of parts) {
    const identity = identityOf(part)
    const have = counts.get(identity)?.have ?? 0
    counts.set(identity, { part, have: have + 1 })
  }
  const asked = new Map(
    [...new Set(parts.map(({ kind }) => kind))].map((kind) => [
      kind,
      siblings.filter((one) => isAsked(one, kind)).length,
    ]),
  )
  return [...counts.values()].map(({ part, have }) => ({ part, have, of: asked.get(part.kind) ?? 0 }))
}

/** A history has privileges and policies of the time when it was the table: they do not let a role read it other than through its parent. */
function isAsked({ range }: Partition, kind: OwnPart['kind']): boolean {
  return (kind !== 'grant' && kind !== 'policy') || range?.from !== null
}

/** Equal for parts that are alike. Constraints and indexes may have any name, and be anywhere: old ones are moved to other disks. */
function identityOf(part: OwnPart): string {
  const named = !('definition' in part) && part.kind !== 'index'
  return canonicalJson(named ? part : { ...part, name: '', tablespace: '' })
}

/** Why new partitions cannot be given it; null where they can. */
export function uncarried(part: OwnPart): string | null {
  if (part.kind === 'trigger' && part.after === null) return 'which cannot be created again from its definition'
  if (part.kind === 'publication' && !part.mayAlter) return 'which belongs to another role'
  return null
}

/** Where partitions differ, or there is but one to go by; for each kind of part, to be accepted. */
export function siblingObjections(set: PartitionedTable): Objection[] {
  const differing = tally(set).filter(({ part, have, of }) => have < of || of === 1 || uncarried(part) !== null)
  const kinds = [...new Set(differing.map(({ part }) => part.kind))]
  return [
    ...kinds.map((kind) => {
      const parts = differing.filter(({ part }) => part.kind === kind)
      const shown = parts.slice(0, 3).map(({ part, have, of }) => `${describe(part)} (${have} of ${of})`)
      const more = parts.length > 3 ? ` and ${parts.length - 3} more` : ''
      return differ(
        set,
        kind,
        `have ${/^[ei]/.test(kind) ? 'an' : 'a'} ${kind} of their own: ${shown.join(', ')}${more}`,
        'without it',
      )
    }),
    ...identityObjections(set),
  ]
}

function identityObjections(set: PartitionedTable): Objection[] {
  const siblings = siblingsOf(set)
  const kinds = new Set(siblings.map(({ identity }) => canonicalJson(elsewhere(identity))))
  const newest = siblings.at(-1)
  if (kinds.size < 2 || newest === undefined) return []
  return [differ(set, 'replica identity', 'have another replica identity than others', `like ${display(newest.name)}`)]
}

function elsewhere(identity: LeafIdentity): unknown {
  return typeof identity === 'object' ? { ...identity, tablespace: '' } : identity
}

function differ(set: PartitionedTable, kind: string, what: string, otherwise: string): Objection {
  const code = `siblings:${kind.replace(' ', '-')}`
  return {
    code,
    what: `partitions of ${display(set.name)} ${what}; whether new ones are to be so cannot be told`,
    fix: `Let all of them be alike, or put it on ${display(set.name)} itself; or let new partitions be ${otherwise}: --accept ${code}`,
    acceptable: true,
  }
}

function describe(part: OwnPart): string {
  switch (part.kind) {
    case 'index':
      return `${part.name} ${part.tail}`
    case 'default':
      return `${part.name} ${part.expression ?? 'none'}`
    case 'grant':
      return describeGrant(part.grant)
    case 'primary key':
    case 'unique':
    case 'exclusion':
    case 'check':
    case 'foreign key':
      return `${part.name} ${part.definition}`
    case 'not null':
    case 'policy':
    case 'publication':
    case 'trigger':
      return uncarried(part) === null ? part.name : `${part.name}, ${uncarried(part)}`
  }
}

/** Tables that foreign keys among them point to. */
export function referencesOf(parts: readonly OwnPart[]): TableName[] {
  return parts.flatMap((part) => ('references' in part && part.references !== null ? [part.references] : []))
}

/** What a new partition is given before it is attached. */
export function partsBefore(leaf: TableName, parts: readonly OwnPart[]): string[] {
  return parts.flatMap((part) => statementsBefore(leaf, part))
}

function statementsBefore(leaf: TableName, part: OwnPart): string[] {
  const table = sql`alter table ${quoted(leaf)}`
  switch (part.kind) {
    // Of these the name is that of an index, and there is one of it in a schema.
    case 'primary key':
    case 'unique':
    case 'exclusion':
      return definitions.inTablespace(part.tablespace, [sql`${table} add ${raw(part.definition)}`.text])
    case 'check':
    case 'foreign key':
      return [sql`${table} add constraint ${ident(part.name)} ${raw(part.definition)}`.text]
    case 'index':
      return definitions.inTablespace(part.tablespace, [
        sql`create ${raw(part.unique ? 'unique ' : '')}index on ${quoted(leaf)} ${raw(part.tail)}`.text,
      ])
    case 'default': {
      const value = part.expression === null ? raw('drop default') : sql`set default ${raw(part.expression)}`
      return [sql`${table} alter column ${ident(part.name)} ${value}`.text]
    }
    case 'not null':
      return [sql`${table} alter column ${ident(part.name)} set not null`.text]
    case 'policy':
      return definitions.policies({ name: leaf, policies: [part.policy] })
    case 'grant':
    case 'publication':
    case 'trigger':
      return []
  }
}

/** And when its rows are there: a trigger would fire for them. */
export function partsAfter(leaf: TableName, parts: readonly OwnPart[], role: string): string[] {
  const given = parts.flatMap((part) => (part.kind === 'grant' ? [part.grant] : []))
  return [
    ...parts.flatMap((part) => {
      if (part.kind === 'publication')
        return [sql`alter publication ${ident(part.name)} add table only ${quoted(leaf)}`.text]
      if (part.kind !== 'trigger') return []
      return [
        sql`${raw(part.before)}${quoted(leaf)}${raw(part.after ?? '')}`.text,
        ...definitions.triggerState([leaf], part),
      ]
    }),
    ...grantsBeside('table', leaf, role, given),
  ]
}
