import type { Published, ReplicaIdentity, Sending } from '../../catalog/table/published.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { objection } from '../language/objection.ts'
import type { Objection } from '../language/step.ts'

/** Why PostgreSQL refuses a statement on a table that is published. */
export interface Refusal {
  readonly publication: string
  /** In words, after `because`. */
  readonly because: string
}

/**
 * Which publications keep rows of a table from being updated or deleted, for what is sent of a row would not tell
 * subscribers whether it was theirs, or which one is meant. Whoever writes to it gets the error, the application too.
 */
export function refusals(
  what: 'updates' | 'deletes',
  sendings: readonly Sending[],
  identity: ReplicaIdentity,
): Refusal[] {
  return sendings.flatMap((sending) => {
    const because = sending[what] ? refusal(sending, identity) : null
    return because === null ? [] : [{ publication: sending.publication, because }]
  })
}

function refusal({ columns, filterColumns }: Sending, { kind, columns: identity }: ReplicaIdentity): string | null {
  if (kind === 'full') return columns === null ? null : 'it does not send all columns, and the replica identity is full'
  if (identity.length === 0) return 'the table has no replica identity'
  const filtered = filterColumns.filter((column) => column === null || !identity.includes(column))
  if (filtered.length > 0)
    return `its row filter is over ${filtered.map((column) => column ?? 'whole rows').join(', ')}, and the replica identity is (${identity.join(', ')})`
  const unsent = columns === null ? [] : identity.filter((column) => !columns.includes(column))
  return unsent.length === 0
    ? null
    : `it does not send ${unsent.join(', ')}, which the replica identity (${identity.join(', ')}) has`
}

/** One objection where publications keep rows of a table from being updated or deleted. */
export function publicationObjections(
  what: 'updates' | 'deletes',
  name: TableName,
  { sendings, identity }: Published,
): Objection[] {
  const refused = refusals(what, sendings, identity)
  if (refused.length === 0) return []
  const why = refused.map(({ publication, because }) => `publication ${publication}: ${because}`).join('; ')
  return [
    objection(
      `replica-identity:${display(name)}`,
      `PostgreSQL refuses ${what} of ${display(name)} because it is published (${why})`,
      `Give it a primary key or another replica identity that fits the publication (alter table ${quoted(name).text} replica identity using index …), or stop publishing its ${what}.`,
    ),
  ]
}
