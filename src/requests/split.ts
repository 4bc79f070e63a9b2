import type { SplitOrder } from '../engine/commands/split.ts'
import { TABLE } from './common.ts'
import { checkCopying, COPY_COMMAND, copyRequest } from './copying.ts'
import { option } from './option.ts'
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
    ...COPY_COMMAND,
  },
  check: (given, { execute }) => checkCopying(given, execute === true),
  request: ({ partition, every, keep, ...copying }): SplitOrder => ({
    partition,
    every,
    keep,
    ...copyRequest(copying),
  }),
})
