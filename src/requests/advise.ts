import type { AdviceRequest } from '../engine/commands/advise.ts'
import { COMMON, TABLE } from './common.ts'
import { option } from './option.ts'
import { spec } from './spec.ts'
import { condition, interval } from './parsers.ts'

export const ADVISE = spec({
  options: {
    table: TABLE,
    keep: option('--keep <condition>', 'the rows to keep, as after WHERE', condition),
    olderThan: option('--older-than <interval>', 'remove older rows: 90 days, 3 months', interval),
    ...COMMON,
  },
  check(given) {
    if (given.has('keep') && given.has('olderThan'))
      given.refuse('keep', `it cannot be combined with ${given.name('olderThan')}`, 'Pass one of them, or neither.')
  },
  request: ({ keep, olderThan }): AdviceRequest => ({ keep, olderThan }),
})
