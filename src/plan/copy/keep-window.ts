import { calendarKind } from '../../catalog/table/calendar-kind.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import type { Interval } from '../../grid/interval.ts'
import { toText, type Position } from '../../grid/key.ts'
import { own } from '../../sql/operators.ts'
import { ident, literal, raw, sql } from '../../sql/sql.ts'
import type { SetPolicy } from '../language/policy.ts'
import { horizonOf } from '../rotate/horizon.ts'

/** What is worth keeping of a table that is copied. */
export interface KeepWindow {
  /** As a condition on rows, to the microsecond. */
  readonly condition: string
  /** Where the first kept row can lie on the key's line; null where the key is an id, which does not tell. */
  readonly from: Position | null
  /** The beginning of the window, as a literal has it. */
  readonly horizon: string
  /** The same for people. */
  readonly shown: string
}

/** The rows that are no older than `keep` at `now`, in microseconds; null where all rows are kept, or none has a time. */
export function keepWindow(
  { kind, column, expireBy, timezone }: Pick<SetPolicy, 'kind' | 'column' | 'expireBy' | 'timezone'>,
  keep: Interval | null,
  table: TableModel,
  now: bigint,
): KeepWindow | null {
  const by = kind === 'id' ? expireBy : column
  const type = table.columns.find(({ name }) => name === by)?.type ?? ''
  const time = kind === 'id' ? calendarKind(type) : kind
  if (keep === null || by === null || time === null) return null
  const { position, shown } = horizonOf(time, timezone, now, keep)
  const horizon = toText(time, position)
  return {
    condition: sql`${ident(by)} ${own('>=')} ${literal(horizon)}::${raw(type)}`.text,
    horizon,
    from: kind === 'id' ? null : position,
    shown,
  }
}
