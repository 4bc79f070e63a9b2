import type { KeyKind } from '../grid/key.ts'
import { objection } from '../plan/language/objection.ts'
import { defaultPremake, type SetPolicy } from '../plan/language/policy.ts'
import type { Objection } from '../plan/language/step.ts'
import { display, type TableName } from '../sql/names.ts'
import { shellWord } from '../text/shell-word.ts'
import { displayInterval } from '../grid/interval.ts'
import { taskOf, type Policy, type WrittenSet } from './policy.ts'

/** How the table of a policy is partitioned, according to the catalogue and the journal. */
export interface PresentSet {
  /** Null where it is not partitioned, or not by one column. */
  readonly key: { readonly column: string; readonly kind: KeyKind } | null
  readonly partitioned: boolean
  readonly registered: SetPolicy | null
}

/**
 * What rotate is to work by: the policy over what is registered. Null where nothing is written nor registered; rotate
 * then derives it from the partitions.
 */
export function setPolicyOf(table: TableName, policy: Policy, present: PresentSet): SetPolicy | null | Objection {
  const { set } = policy
  const { key, registered } = present
  const keep = taskOf(policy, 'rotate')?.request.keep ?? registered?.keep ?? null
  if (!present.partitioned) return notPartitioned(table, policy)
  const grace = taskOf(policy, 'rotate')?.request.grace ?? registered?.grace
  const later = grace === undefined ? {} : { grace }
  if (set === null || key === null) return registered === null ? null : { ...registered, keep, ...later }
  const wrong = contradiction(table, set, { ...present, key })
  if (wrong !== null) return wrong
  const { by: column, every } = set
  return {
    column,
    kind: key.kind,
    timezone: set.timezone ?? registered?.timezone ?? 'UTC',
    every,
    expireBy: set.expireBy ?? registered?.expireBy ?? null,
    keep,
    premake: set.premake ?? registered?.premake ?? defaultPremake(every),
    ...later,
  }
}

/** The policy says of partitions what cannot be true of those that are there. */
function contradiction(
  table: TableName,
  { by, every, timezone }: WrittenSet,
  { key, registered }: PresentSet & { readonly key: NonNullable<PresentSet['key']> },
): Objection | null {
  const name = display(table)
  if (by !== key.column)
    return objection(
      `other-key:${name}`,
      `${name}: partition.by is ${by}, and the table is partitioned by ${key.column}`,
      `Write by: ${key.column}.`,
    )
  if (every.kind === 'ids' && key.kind !== 'id')
    return objection(
      `other-key:${name}`,
      `${name}: partition.every is a number of ids, and ${by} is a time`,
      'Write every: 1 month, or another interval.',
    )
  if (timezone !== null && registered !== null && timezone !== registered.timezone)
    return objection(
      `other-timezone:${name}`,
      `${name}: partition.timezone is ${timezone}, and its partitions are in ${registered.timezone}`,
      `Write timezone: ${registered.timezone}.`,
    )
  return null
}

function notPartitioned(table: TableName, policy: Policy): Objection {
  const name = display(table)
  return objection(
    `not-partitioned:${name}`,
    `${name} is not partitioned`,
    policy.set === null
      ? `Rows of a table that is not partitioned are removed by purge or stale; or convert it: ebb partition ${shellWord(name)} …`
      : `Convert it: ${conversionOf(name, policy.set, policy)}`,
  )
}

/** The command that makes the table what its policy says. */
function conversionOf(name: string, { by, every, premake, timezone, expireBy }: WrittenSet, policy: Policy): string {
  const keep = taskOf(policy, 'rotate')?.request.keep ?? null
  const words = [
    name,
    '--by',
    by,
    '--every',
    every.kind === 'ids' ? String(every.ids) : displayInterval(every.interval),
    ...(keep === null ? [] : ['--keep', displayInterval(keep)]),
    ...(premake === null ? [] : ['--premake', String(premake)]),
    ...(timezone === null ? [] : ['--timezone', timezone]),
    ...(expireBy === null ? [] : ['--expire-by', expireBy]),
  ]
  return `ebb partition ${words.map(shellWord).join(' ')}`
}
