import type { UnplannedRows } from '../../catalog/partitions/unplanned-rows.ts'
import { display } from '../../sql/names.ts'
import { showAbout, showBytes, showRows } from '../../text/units.ts'

/** `public.events_default has 20 rows (8.2 kB) that no partition was made for, from … to …`. */
export function describeUnplanned({ partition, rows, counted, bytes, ends }: UnplannedRows): string {
  const many = counted && rows !== null ? showRows(rows) : showAbout(rows)
  const range = ends === null ? '' : `, from ${ends.least} to ${ends.greatest}`
  return `${display(partition)} has ${many} (${showBytes(bytes)}) that no partition was made for${range}`
}
