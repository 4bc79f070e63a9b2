import type { ReattachRequest } from '../plan/rotate/plan-reattach.ts'
import { COMMON, EXECUTE, LOCKS } from './common.ts'
import { defaulted, required } from './option.ts'
import { intervalOrNone, tableName } from './parsers.ts'
import { spec } from './spec.ts'

/** Of `ebb reattach`. */
export const REATTACH = spec({
  options: {
    partition: required('<partition>', 'a partition that ebb rotate has detached, as SQL names it', tableName),
    hold: defaulted(
      '--hold <interval>',
      'for how long no command removes its rows again, or none',
      intervalOrNone,
      '30 days',
    ),
    ...EXECUTE,
    ...LOCKS,
    ...COMMON,
  },
  request: ({ hold, accept }): ReattachRequest => ({ hold, accept }),
})
