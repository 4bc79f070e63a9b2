import type { RebuildRequest } from '../plan/copy/rebuild.ts'
import { COMMON, EXECUTE, LOCKS, AT_END, TABLE } from './common.ts'
import { METRICS_PORT } from './metrics-port.ts'
import { checkLeftOut, COPYING, copyRequest } from './copying.ts'
import { flag, option } from './option.ts'
import { CHUNK_PACE } from './pace.ts'
import { PLAN_FILE, checkPlanFile } from './plan-file.ts'
import { spec } from './spec.ts'
import { condition } from './parsers.ts'

export const REBUILD = spec({
  options: {
    table: TABLE,
    keep: option(
      '--keep <condition>',
      'the rows to keep, as after WHERE: "created_at > now() - interval \'90 days\'"; now() is fixed once, at the start',
      condition,
    ),
    keepAll: flag('--keep-all', 'keep every row: frees the space of dead rows', { property: 'keep', means: null }),
    ...COPYING,
    ...CHUNK_PACE,
    ...EXECUTE,
    ...PLAN_FILE,
    ...LOCKS,
    ...AT_END,
    ...METRICS_PORT,
    ...COMMON,
  },
  // Keeping everything is passed explicitly, and so is a condition: neither is the default.
  check(given, { execute }) {
    checkPlanFile(given, execute === true)
    const either = `Pass ${given.spell('keep', "created_at > now() - interval '90 days'")} or ${given.spell('keepAll')}.`
    if (!given.has('keepAll')) given.require('keep', either)
    else if (given.has('keep')) given.refuse('keep', `it cannot be combined with ${given.name('keepAll')}`, either)
    checkLeftOut(given)
  },
  request: ({ keep, ...copying }): RebuildRequest => ({ keep, ...copyRequest(copying) }),
})
