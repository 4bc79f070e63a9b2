import { displayInterval, type Interval } from '../grid/interval.ts'
import { canonicalJson, toStored } from '../plan/language/stored.ts'
import type { Objection } from '../plan/language/step.ts'
import { isShorter } from '../plan/rotate/horizon.ts'
import type { Retire } from '../plan/rotate/request.ts'
import type { HoldUntil } from '../requests/hold.ts'
import { describeArchive } from './describe-terms.ts'
import type { RemovedRows, Terms } from './terms.ts'

// A policy that keeps less than the one in force: a typing error (`9 days`) must not remove years of rows. Each is
// accepted once, by the name of the table, and is then in force.

/** What of a policy keeps less than what is in force; `now` is the server's. */
export function weakerTerms(table: string, terms: Terms, inForce: Terms, now: bigint): Objection[] {
  return [
    ...shorter(table, 'keep', terms.keep, inForce.keep, now),
    ...shorter(table, 'keepMoved', terms.keepMoved ?? null, inForce.keepMoved ?? null, now),
    ...shorter(table, 'grace', terms.grace ?? null, inForce.grace ?? null, now),
    ...shorterHold(table, terms, inForce, now),
    ...harsherRetire(table, terms.retire, inForce.retire),
    ...weakerArchive(table, terms, inForce),
    ...(['mark', 'stale', 'purge'] as const).flatMap((section) =>
      otherRows(table, section, terms[section], inForce[section], now),
    ),
  ]
}

function weaker(code: string, table: string, what: string, fix: string): Objection[] {
  const full = `${code}:${table}`
  return [
    {
      code: full,
      what: `${table}: ${what}`,
      fix: `${fix}; or, if that is meant, once: --accept ${full}`,
      acceptable: true,
    },
  ]
}

function shorter(table: string, key: string, keep: Interval | null, than: Interval | null, now: bigint): Objection[] {
  if (keep === null || than === null || !isShorter(keep, than, CALENDAR, now)) return []
  const [wanted, before] = [displayInterval(keep), displayInterval(than)]
  return weaker(
    key === 'grace' ? 'shorter-grace' : 'shorter-keep',
    table,
    `${key} is ${wanted}, and ${before} in force`,
    `Write ${before}`,
  )
}

/** One that is over says nothing any more. */
function shorterHold(table: string, { hold }: Terms, { hold: inForce }: Terms, now: bigint): Objection[] {
  if (hold === undefined || inForce === undefined || hold.until >= inForce.until || !isHeld(inForce, now)) return []
  const [wanted, before] = [hold.until, inForce.until]
  return weaker(
    'shorter-hold',
    table,
    `hold is until ${wanted}, and until ${before} in force`,
    `Write until: ${before}`,
  )
}

/** Whether no row may be removed yet; `now` is the server's, in microseconds. */
export function isHeld({ until }: Pick<HoldUntil, 'until'>, now: bigint): boolean {
  return BigInt(Date.parse(until)) * 1000n > now
}

const CALENDAR = { kind: 'timestamptz', timezone: 'UTC' } as const

/** What stays in the table comes first, then what can still be looked at afterwards. */
const HARSHER: readonly Retire[] = ['columnar', 'move', 'detach', 'drop']

function harsherRetire(table: string, retire: Retire | null, inForce: Retire | null): Objection[] {
  const rank = (one: Retire) => HARSHER.indexOf(one === 'truncate' ? 'drop' : one)
  if (retire === null || inForce === null || rank(retire) <= rank(inForce)) return []
  return weaker('harsher-retire', table, `retire is ${retire}, and ${inForce} in force`, `Write retire: ${inForce}`)
}

function weakerArchive(table: string, { archive }: Terms, { archive: inForce }: Terms): Objection[] {
  if (archive === null || inForce === null || inForce === 'none') return []
  const isWeaker = archive === 'none' || (inForce.encrypted && !archive.encrypted)
  if (!isWeaker) return []
  const [now, before] = [describeArchive(archive), describeArchive(inForce)]
  return weaker('weaker-archive', table, `archive is ${now}, and ${before} in force`, `Write archive: ${inForce.uri}`)
}

/** A condition can only be compared as text, so another one counts as one that removes more. */
function otherRows(
  table: string,
  section: string,
  rows: RemovedRows | null,
  inForce: RemovedRows | null,
  now: bigint,
): Objection[] {
  if (rows === null || inForce === null) return []
  const isOther = canonicalJson(toStored(rows.chosen)) !== canonicalJson(toStored(inForce.chosen))
  const what = `what ${section} says is not what is in force, and whether it removes more cannot be told`
  return [
    ...(isOther ? weaker('other-rows', table, what, 'Write it as it was') : []),
    ...shorter(table, `the time in ${section}`, rows.after, inForce.after, now),
    ...(rows.after === null && inForce.after !== null
      ? weaker(
          'shorter-keep',
          table,
          `${section} waits no longer, and ${displayInterval(inForce.after)} is in force`,
          'Write it again',
        )
      : []),
  ]
}
