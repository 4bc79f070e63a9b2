import type { Interval } from '../grid/interval.ts'
import type { PolicyInForce } from '../journal/policies.ts'
import { unaccepted } from '../plan/language/objection.ts'
import type { SetPolicy } from '../plan/language/policy.ts'
import { canonicalJson, toStored } from '../plan/language/stored.ts'
import type { Objection } from '../plan/language/step.ts'
import { display, type TableName } from '../sql/names.ts'
import { taskOf, type Policy } from './policy.ts'
import { setPolicyOf, type PresentSet } from './set-policy.ts'
import { termsOf, type Terms } from './terms.ts'
import { weakerTerms } from './weaker.ts'

/** What is in force for a table, and how it is partitioned. */
export interface Standing {
  readonly table: TableName
  readonly inForce: PolicyInForce<Terms> | null
  readonly present: PresentSet
  /** By the server's clock, in microseconds. */
  readonly now: bigint
  /** The command of an unfinished run on the table. */
  readonly unfinished: string | null
}

/** A policy beside what is in force. */
export interface JudgedPolicy {
  readonly table: TableName
  /** Why it is not applied. */
  readonly objections: readonly Objection[]
  /** Of those there were, the codes that are accepted: they are recorded. */
  readonly accepted: readonly string[]
  /** What is to be in force. What the policy does not say any more stays as it was. */
  readonly terms: Terms
  /** What rotate is to work by; null where it derives that from the partitions. */
  readonly set: SetPolicy | null
  /** Whether anything would have to be recorded. */
  readonly differs: boolean
  /** By the server's clock, in microseconds. */
  readonly now: bigint
  /** The command of an unfinished run on the table. */
  readonly unfinished: string | null
}

const NOTHING: Terms = { keep: null, retire: null, archive: null, mark: null, stale: null, purge: null }

/** Compares a policy with what is in force. Pure. */
export function judgePolicy(policy: Policy, standing: Standing, accept: readonly string[]): JudgedPolicy {
  const { table, inForce, present, now } = standing
  const before = { ...(inForce?.terms ?? NOTHING) }
  const terms = termsOf(policy)
  const keepBefore = present.registered?.keep ?? before.keep
  const inForceNow = { ...before, keep: keepBefore, ...graceOf(present.registered ?? before) }
  const weaker = weakerTerms(display(table), terms, inForceNow, now)
  const found = taskOf(policy, 'rotate') === undefined ? null : setPolicyOf(table, policy, present)
  const wrong = found !== null && 'fix' in found ? [found] : []
  const set = found === null || 'fix' in found ? null : found
  const next = merged({ ...terms, keep: terms.keep ?? set?.keep ?? null }, before)
  const isNew = inForce === null || isOther(next, inForce.terms)
  return {
    table,
    objections: [...wrong, ...unaccepted(weaker, accept)],
    accepted: weaker.flatMap(({ code }) => (accept.includes(code) ? [code] : [])),
    terms: next,
    set,
    now,
    unfinished: standing.unfinished,
    differs: isNew || (set !== null && isOther(set, present.registered)),
  }
}

/** Without it, nothing: that is how it is stored. */
function graceOf({ grace }: { readonly grace?: Interval }): { readonly grace?: Interval } {
  return grace === undefined ? {} : { grace }
}

function keepMovedOf({ keepMoved }: Terms): Pick<Terms, 'keepMoved'> {
  return keepMoved === undefined ? {} : { keepMoved }
}

function holdOf({ hold }: Terms): Pick<Terms, 'hold'> {
  return hold === undefined ? {} : { hold }
}

/** To leave something out and to write it otherwise later must not be a way around an objection. */
function merged(terms: Terms, before: Terms): Terms {
  return {
    keep: terms.keep ?? before.keep,
    retire: terms.retire ?? before.retire,
    archive: terms.archive ?? before.archive,
    ...keepMovedOf(terms.keepMoved === undefined ? before : terms),
    ...graceOf(terms.grace === undefined ? before : terms),
    ...holdOf(terms.hold === undefined ? before : terms),
    mark: terms.mark ?? before.mark,
    stale: terms.stale ?? before.stale,
    purge: terms.purge ?? before.purge,
  }
}

/** Whether two values are stored as different ones. */
export function isOther(a: unknown, b: unknown): boolean {
  return canonicalJson(toStored(a)) !== canonicalJson(toStored(b))
}
