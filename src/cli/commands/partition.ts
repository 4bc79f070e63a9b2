import { Command } from 'commander'
import { partition } from '../../engine/commands/partition.ts'
import { partitionByCopy } from '../../engine/commands/partition-copy.ts'
import { UsageError } from '../../errors.ts'
import { parseInterval } from '../../grid/interval.ts'
import { parseWidth } from '../../plan/partition/parse-width.ts'
import type { PartitionPlan } from '../../plan/partition/partition.ts'
import type { RebuildPlan } from '../../plan/copy/rebuild.ts'
import type { PartitionRequest } from '../../plan/language/policy.ts'
import type { Plan } from '../../plan/language/step.ts'
import { parseTableName } from '../../sql/parse-name.ts'
import { OUTCOMES } from '../outcomes.ts'
import { EXECUTE, readCommonOptions, TABLE, withDatabase, type CommonOptions, type Invocation } from '../command.ts'
import { readCopying, readDiskFree, withCopying, type CopyOptions } from '../copy-options.ts'
import { Faults } from '../faults.ts'
import { OF_CHUNKS, readPace, saidOfPace, withPace, type PaceOptions } from '../pace-options.ts'
import { readLockOptions, withLockOptions, type LockWords } from '../lock-options.ts'
import { asking, planOrCarryOut } from '../show-plan.ts'
import { parseName, parseTimezone, parseWhole } from '../parse.ts'

interface Words extends CommonOptions, LockWords, PaceOptions, CopyOptions {
  readonly method: string
  readonly by?: string
  readonly every?: string
  readonly keep?: string
  readonly premake?: string
  readonly timezone: string
  readonly expireBy?: string
  readonly execute?: true
}

/** `ebb partition`: a table becomes partitions, without moving a row or by copying those worth keeping. */
export function partitionCommand(invocation: Invocation): Command {
  const command = new Command('partition')
    .summary('partition a table online')
    .description(
      'Partitions a table while it is in use. With --method attach no row is moved: the existing rows become the first partition, new rows go to new partitions. With --method copy the rows to keep are copied into regular partitions; the retired table is kept for ebb rollback until ebb retire drops it.',
    )
    .usage('<table> --by <column> --every <interval or ids> [options]')
    .argument('<table>', TABLE)
    .option('--by <column>', 'the key: a time, an epoch integer, a UUIDv7 or a growing id (required)')
    .option('--every <width>', 'width of a partition: month, 7 days, … or a number of ids, 10_000_000 (required)')
    .option(
      '--method <how>',
      'attach: the table becomes a partition as it is; copy: rows are copied into partitions',
      'attach',
    )
    .option('--keep <interval>', 'retention period: for rotate, and for --method copy, which leaves out older rows')
    .option('--premake <n>', 'number of partitions to create ahead (default: depends on the width)')
    .option('--timezone <name>', 'time zone of the partition bounds', 'UTC')
    .option('--expire-by <column>', 'time column by which rows of a table partitioned by id expire')
  withPace(withCopying(command), OF_CHUNKS).option('--execute', EXECUTE)
  return withDatabase(withLockOptions(command)).action((table: string, words: Words) => act(invocation, table, words))
}

async function act(invocation: Invocation, text: string, words: Words): Promise<void> {
  const { table, request, copying, options } = readWords(invocation, text, words)
  await asking(invocation, words, table, options, (asked) =>
    copying === null
      ? planOrCarryOut({ ...asked, more: policyOf }, partition, request, OUTCOMES.partition)
      : planOrCarryOut({ ...asked, more: policyOf }, partitionByCopy, copying, OUTCOMES['partition-copy']),
  )
}

function policyOf(plan: Plan & Partial<Pick<PartitionPlan, 'conversion'> & Pick<RebuildPlan, 'rebuild'>>): object {
  return { policy: plan.conversion?.policy ?? plan.rebuild?.policy ?? null }
}

function readWords({ context, args }: Invocation, text: string, words: Words) {
  const faults = new Faults()
  const table = faults.read('<table>', () => parseTableName(text))
  const by = faults.readRequired('--by', words.by, '--by created_at: the column whose value decides', parseName)
  const every = faults.readRequired('--every', words.every, '--every month: how wide a partition is', parseWidth)
  const method = faults.read('--method', () => parseMethod(words))
  const keep = faults.readOptional('--keep', words.keep, parseInterval)
  const premake = faults.readOptional('--premake', words.premake, (premake) => parseWhole(premake, 1, 1000))
  const timezone = faults.read('--timezone', () => parseTimezone(words.timezone))
  const expireBy = faults.readOptional('--expire-by', words.expireBy, parseName)
  const copying = readCopying(words, args, faults)
  const diskFree = readDiskFree(words, faults)
  const lockLimits = readLockOptions(words, faults)
  const pacing = readPace(words, faults)
  const surroundings = readCommonOptions(words, context, faults)
  faults.throwIfAny()
  const request: PartitionRequest = {
    by: by(),
    every: every(),
    keep: keep(),
    premake: premake(),
    timezone: timezone(),
    expireBy: expireBy(),
    accept: words.accept ?? [],
  }
  return {
    table: table(),
    request,
    copying: method() === 'copy' ? { ...request, ...copying() } : null,
    options: { ...surroundings(), ...diskFree(), lockLimits: lockLimits(), pacing: pacing() },
  }
}

// By attaching nothing is left out and nothing travels: whoever says how has something else in mind.
function parseMethod({ method, transport, jobs, archive, retireAfter, diskFree, ...words }: Words): 'attach' | 'copy' {
  if (method === 'copy') return method
  if (method !== 'attach') throw new UsageError(`'${method}' is not a method`, 'Pass attach or copy.')
  const [foreign] = [
    ...(transport === undefined ? [] : ['--transport']),
    ...(jobs === undefined ? [] : ['--jobs']),
    ...(archive === false ? ['--no-archive'] : []),
    ...(retireAfter === undefined ? [] : ['--retire-after']),
    ...(diskFree === undefined ? [] : ['--disk-free']),
    ...saidOfPace(words),
  ]
  if (foreign === undefined) return method
  throw new UsageError(`${foreign} requires --method copy`, 'Omit it, or pass --method copy.')
}
