import type { ArchiveOrder } from '../plan/archive/situation.ts'
import { ARCHIVE as OPTIONS, archiveRequest } from './archive-options.ts'
import { COMMON, EXECUTE, LOCKS, TABLE } from './common.ts'
import { option } from './option.ts'
import { PLAN_FILE, checkPlanFile } from './plan-file.ts'
import { spec } from './spec.ts'
import { condition } from './parsers.ts'

export const ARCHIVE = spec({
  options: {
    table: TABLE,
    where: option(
      '--where <condition>',
      'the rows to archive, as after WHERE (default: all); now() is fixed once, at the start',
      condition,
    ),
    ...OPTIONS,
    ...EXECUTE,
    ...PLAN_FILE,
    ...LOCKS,
    ...COMMON,
  },
  check(given, { execute }) {
    checkPlanFile(given, execute === true)
    given.require('archive', `Pass ${given.spell('archive', '/var/archive')}, or s3://bucket/prefix.`)
  },
  request: ({ where, ...values }): ArchiveOrder => {
    const to = archiveRequest(values)
    if (to === null) throw new Error('an archive has a destination')
    return { where, to }
  },
})
