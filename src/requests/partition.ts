import type { PartitionRequest } from '../plan/language/policy.ts'
import { TABLE } from './common.ts'
import { checkCopying, COPYING, COPY_COMMAND, copyRequest } from './copying.ts'
import { keysOf, option, required, defaulted } from './option.ts'
import { CHUNK_PACE } from './pace.ts'
import { spec } from './spec.ts'
import { interval, name, oneOf, timezone, whole, width } from './parsers.ts'

// Attaching leaves nothing out and copies nothing: options about either are a mistake.
const OF_COPYING = { ...COPYING, ...CHUNK_PACE }

export const PARTITION = spec({
  options: {
    table: TABLE,
    by: required('--by <column>', 'the key: a time, an epoch integer, a UUIDv7 or a growing id (required)', name, {
      example: ['created_at', 'the column whose value decides'],
    }),
    every: required(
      '--every <width>',
      'width of a partition: month, 7 days, … or a number of ids, 10_000_000 (required)',
      width,
      { example: ['month', 'how wide a partition is'] },
    ),
    method: defaulted(
      '--method <how>',
      'attach: the table becomes a partition as it is; copy: rows are copied into partitions',
      oneOf('a method', 'attach', 'copy'),
      'attach',
    ),
    keep: option(
      '--keep <interval>',
      'retention period: for rotate, and for --method copy, which leaves out older rows',
      interval,
    ),
    premake: option(
      '--premake <n>',
      'number of partitions to create ahead (default: depends on the width)',
      whole(1, 1000),
    ),
    timezone: defaulted('--timezone <name>', 'time zone of the partition bounds', timezone, 'UTC'),
    expireBy: option('--expire-by <column>', 'time column by which rows of a table partitioned by id expire', name),
    ...COPY_COMMAND,
  },
  check(given, { method, execute }) {
    checkCopying(given, execute === true)
    if (method !== 'attach') return
    const copy = given.spell('method', 'copy')
    for (const key of keysOf(OF_COPYING))
      if (given.has(key)) given.refuse('method', `${given.name(key)} requires ${copy}`, `Omit it, or pass ${copy}.`)
  },
  request({ by, every, keep, premake, timezone, expireBy, accept, method, ...copying }) {
    const attach: PartitionRequest = { by, every, keep, premake, timezone, expireBy, accept }
    return { attach, copy: method === 'copy' ? { ...attach, ...copyRequest(copying) } : null }
  },
})
