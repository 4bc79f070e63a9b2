import { UsageError } from '../errors.ts'
import type { Interval, Unit } from '../grid/interval.ts'
import { KEPT_DAYS } from '../journal/prune.ts'
import { option } from './option.ts'
import { interval } from './parsers.ts'

/** Roughly, and not more. */
const DAYS: Readonly<Record<Unit, number>> = { hour: 1 / 24, day: 1, week: 7, month: 30, quarter: 90, year: 365 }
/** PostgreSQL's calendar begins 4713 BC. */
const MOST_DAYS = 100 * DAYS.year

/** Of commands that remove rows. Not part of a request: it is about the table, and an interrupted run goes on with any. */
export const KEEP_JOURNAL = {
  keepJournal: option(
    '--keep-journal <interval>',
    `from now on, keep the journal’s records of this table for longer than ${KEPT_DAYS} days: 7 years`,
    longer,
  ),
}

function longer(value: unknown): Interval {
  const asked = interval(value)
  const days = asked.count * DAYS[asked.unit]
  if (days > KEPT_DAYS && days <= MOST_DAYS) return asked
  throw new UsageError(
    days > MOST_DAYS ? 'the journal is kept for 100 years at most' : `the journal is kept for ${KEPT_DAYS} days anyway`,
    `Pass more than ${KEPT_DAYS} days, and at most 100 years.`,
  )
}
