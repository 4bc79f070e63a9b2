import type { StoredSet } from '../journal/candidates.ts'
import { showBytes, showCount } from '../text/units.ts'
import { columns } from '../text/columns.ts'
import { display } from '../sql/names.ts'
import { indented } from './partitioned.ts'

/** A candidate set, and what can be done with it. `file` is the export of its keys. */
export function describeCandidateSet(set: StoredSet, file: string | null): string[] {
  const { id, table, place, key, condition, rows, bytes, approvedBy, ticket } = set
  return [
    rows === null
      ? `Candidate set ${id} of ${display(table)} is not complete.`
      : `Candidate set ${id}: ${size(set)} of ${display(table)}.`,
    ...indented(
      columns([
        ['condition', condition],
        ['keys', `${key.map(({ name }) => name).join(', ')}, in ${display(place)}`],
        ['approved by', approvedBy === null ? 'nobody yet' : `${approvedBy}${ticket === null ? '' : ` (${ticket})`}`],
        ...(file === null ? [] : [['exported to', file]]),
      ]),
    ),
    '',
    ...(rows === null || bytes === null
      ? [`To complete it:  ebb resume ${id} --execute`]
      : [
          `To see some of its rows:  ebb candidates ${id} --sample 20`,
          `To archive and delete the rows that have not changed since:  ebb purge --from-candidates ${id} --archive <uri> --execute`,
        ]),
    `To drop it:  ebb candidates ${id} --drop --execute`,
  ]
}

/** A line for each. */
export function describeCandidateSets(sets: readonly StoredSet[]): string[] {
  if (sets.length === 0) return ['There are no candidate sets. To write one: ebb purge <table> --where … --candidates']
  return columns(
    sets.map((set) => [
      set.id,
      display(set.table),
      size(set),
      set.approvedBy === null ? 'not approved' : `approved by ${set.approvedBy}`,
      set.condition,
    ]),
  )
}

export function describeDropped({ id }: StoredSet): string[] {
  return [`Candidate set ${id} was dropped. The rows of the table are unchanged.`]
}

function size({ rows, bytes }: StoredSet): string {
  return rows === null || bytes === null ? 'not complete' : `${showCount(rows)} rows, ${showBytes(bytes)}`
}
