import { displayInterval, type Interval } from '../../grid/interval.ts'
import { display, type TableName } from '../../sql/names.ts'

/** For how long the retired table stays, as text. */
export function describeKept(retired: TableName, retireAfter: Interval | null): string {
  const end =
    retireAfter === null
      ? 'until `ebb retire`'
      : `and goes by itself: the first \`ebb rotate\` ${displayInterval(retireAfter)} after the end drops it`
  return `${display(retired)} is kept for a rollback, ${end}`
}
