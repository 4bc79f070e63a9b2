import type { ViewOrder } from '../engine/commands/view.ts'
import { COMMON, EXECUTE, LOCKS, TABLE } from './common.ts'
import { option } from './option.ts'
import { PLAN_FILE, checkPlanFile } from './plan-file.ts'
import { spec } from './spec.ts'
import { condition, interval, name, tableName } from './parsers.ts'

export const VIEW = spec({
  options: {
    table: TABLE,
    name: option('--name <view>', 'its name (default: the table’s with _live)', tableName),
    hideMarked: option('--hide-marked <column>', 'without the rows that ebb mark has marked there', name),
    expired: option(
      '--expired <condition>',
      'without the rows for which this is true, as after WHERE; now() is evaluated by each query',
      condition,
    ),
    by: option('--by <key>', 'with --keep: the time by which rows expire', name, { property: 'keep.by' }),
    keep: option('--keep <interval>', 'without the rows that are older: 90 days', interval, {
      property: 'keep.interval',
    }),
    ...EXECUTE,
    ...PLAN_FILE,
    ...LOCKS,
    ...COMMON,
  },
  check(given, { execute }) {
    checkPlanFile(given, execute === true)
    const [by, keep] = [given.name('by'), given.name('keep')]
    if (given.has('by') !== given.has('keep'))
      given.refuse(
        'keep',
        `${by} and ${keep} go together`,
        `Pass both: ${given.spell('by', 'created_at')} and ${given.spell('keep', '90 days')}.`,
      )
    else if (!(['hideMarked', 'expired', 'by'] as const).some((key) => given.has(key)))
      given.refuse(
        'keep',
        'nothing is to be hidden',
        `Pass ${given.name('hideMarked')}, ${given.name('expired')}, or ${by} and ${keep}.`,
      )
  },
  request: ({ name, hideMarked, expired, by, keep }): ViewOrder => ({
    name,
    hideMarked,
    expired,
    keep: by === null || keep === null ? null : { by, interval: keep },
  }),
})
