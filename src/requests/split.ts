import type { SplitOrder } from '../engine/commands/split.ts'
import { COMMON, EXECUTE, LOCKS, AT_END, TABLE } from './common.ts'
import { METRICS_PORT } from './metrics-port.ts'
import { checkLeftOut, COPYING, copyRequest } from './copying.ts'
import { option } from './option.ts'
import { CHUNK_PACE } from './pace.ts'
import { PLAN_FILE, checkPlanFile } from './plan-file.ts'
import { spec } from './spec.ts'
import { interval, tableName, width } from './parsers.ts'

export const SPLIT = spec({
  options: {
    table: { ...TABLE, help: 'the partitioned table, as SQL names it' },
    partition: option('[partition]', 'the partition to split (default: the first one that is too wide)', tableName),
    every: option(
      '--every <width>',
      'width of the new partitions: month, 7 days, … or a number of ids (default: that of the table)',
      width,
    ),
    keep: option('--keep <interval>', 'leave older rows behind (default: keep all)', interval),
    ...COPYING,
    ...CHUNK_PACE,
    ...EXECUTE,
    ...PLAN_FILE,
    ...LOCKS,
    ...AT_END,
    ...METRICS_PORT,
    ...COMMON,
  },
  check(given, { execute }) {
    checkPlanFile(given, execute === true)
    checkLeftOut(given)
  },
  request: ({ partition, every, keep, ...copying }): SplitOrder => ({
    partition,
    every,
    keep,
    ...copyRequest(copying),
  }),
})
