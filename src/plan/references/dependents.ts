import { display } from '../../sql/names.ts'
import { goingAhead, isCrowded } from './ahead.ts'
import { distinctTables, type Cascade } from './cascade.ts'
import { childDeletions } from './cascade-deletions.ts'
import { leadsToUnarchived } from './archived-dependents.ts'
import { isReferredByOwn, isSetAside, rootColumns, withoutReferenced } from './cascade-sql.ts'
import type { Fate } from './graph.ts'
import type { Dependents, StayReason, Watched } from '../purge/work.ts'

/** What a cascade means for the statement of a batch, in SQL. */
export function dependentsOf(cascade: Cascade): Dependents {
  const narrowing = withoutReferenced(cascade, 'victim', 'going') ?? []
  const { parts, disturbed } = childDeletions(cascade, 'gone')
  const going = narrowing.at(-1)?.name ?? 'victim'
  return {
    columns: rootColumns(cascade),
    reasons: [...setAside(cascade), ...unarchived(cascade), ...referredByOwn(cascade)],
    narrowing: narrowing.map(({ name, query }) => ({ name, statement: query.text })),
    companions: parts.map(({ name, query, table }) => ({ name, statement: query.text, table: table?.name ?? null })),
    disturbed: disturbed === null ? null : disturbed.text,
    ahead: goingAhead(cascade, going),
    crowded: isCrowded(cascade, going),
    ...(readsWhole(cascade) ? { scans: true as const } : {}),
    watched: cascade.walked.length > 0 ? watchedOf(cascade) : null,
  }
}

/** Whether the statement of a batch looks for dependent rows that no index finds. */
function readsWhole({ walked }: Cascade): boolean {
  return walked.some(({ reference, fate }) => !reference.indexed && LOOKED_FOR.includes(fate))
}

const LOOKED_FOR: readonly Fate[] = ['followed', 'held', 'protected', 'subtree', 'self']

function setAside({ reasons }: Cascade): StayReason[] {
  return reasons.map((reason) => ({ what: reason.what, condition: isSetAside(reason, 't').text, atTheEnd: false }))
}

function unarchived(cascade: Cascade): StayReason[] {
  const condition = leadsToUnarchived(cascade, 't')
  if (condition === null) return []
  const what = 'leading to rows that were not archived with them, or have changed since'
  return [{ what, condition: condition.text, atTheEnd: false, beforehand: true }]
}

// A batch may hold both the referencing and the referenced row, and then deletes both; so single rows are not checked.
function referredByOwn(cascade: Cascade): StayReason[] {
  return cascade.walked
    .filter(({ fate }) => fate === 'self')
    .map(({ reference, from }) => ({
      what: `referenced by ${display(from.name)}.${reference.name}, by kept rows`,
      condition: isReferredByOwn(cascade, reference, 't').text,
      atTheEnd: true,
    }))
}

function watchedOf({ root, walked, protected: spared, archived }: Cascade): Watched {
  const watch = ({ oid, name }: Cascade['root']) => ({ oid, name, protected: spared.some((one) => one.oid === oid) })
  const others = walked.map(({ from }) => from).filter(({ oid }) => oid !== root.oid)
  return {
    root: watch(root),
    others: distinctTables(others).map(watch),
    ...(archived === undefined ? {} : { exact: true as const }),
  }
}
