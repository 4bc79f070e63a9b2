import { TABLE } from './common.ts'
import { option, required } from './option.ts'
import { day, text } from './parsers.ts'
import { spec } from './spec.ts'

/** Until when no row of a table is removed. */
export interface HoldUntil {
  /** A day, at whose beginning (UTC) it ends: `2027-01-01`. */
  readonly until: string
  readonly reason: string | null
}

/** Of a policy; holds of restored rows are those of `ebb restore`. */
export const HOLD = spec({
  options: {
    table: TABLE,
    until: required(
      '--until <day>',
      'until when no row of the table is removed, by whatever command: 2027-01-01',
      day,
      {
        example: ['2027-01-01', 'a day, at whose beginning it ends'],
      },
    ),
    reason: option('--reason <text>', 'why, for whoever is told of it', text),
  },
  request: ({ until, reason }): HoldUntil => ({ until, reason }),
})
