import { Command } from 'commander'
import { rebuild } from '../../engine/commands/rebuild.ts'
import { UsageError } from '../../errors.ts'
import type { RebuildRequest } from '../../plan/copy/rebuild.ts'
import { parseTableName } from '../../sql/parse-name.ts'
import { OUTCOMES } from '../outcomes.ts'
import { EXECUTE, readCommonOptions, TABLE, withDatabase, type CommonOptions, type Invocation } from '../command.ts'
import { readCopying, readDiskFree, withCopying, type CopyOptions } from '../copy-options.ts'
import { Faults, MissingError } from '../faults.ts'
import { OF_CHUNKS, readPace, withPace, type PaceOptions } from '../pace-options.ts'
import { readLockOptions, withLockOptions, type LockWords } from '../lock-options.ts'
import { asking, planOrCarryOut } from '../show-plan.ts'

interface Words extends CommonOptions, LockWords, PaceOptions, CopyOptions {
  readonly keep?: string
  readonly keepAll?: true
  readonly execute?: true
}

/** `ebb rebuild`: a new table with the rows to keep. */
export function rebuildCommand(invocation: Invocation): Command {
  const command = new Command('rebuild')
    .summary('rebuild a table with the rows to keep, online')
    .description(
      'Copies the rows to keep into a new table while the old one stays in use, applies the changes captured meanwhile, compares both tables, and swaps them in milliseconds. The retired table is kept for ebb rollback until ebb retire drops it.',
    )
    .usage('<table> --keep <condition> | --keep-all [options]')
    .argument('<table>', TABLE)
    .option(
      '--keep <condition>',
      'the rows to keep, as after WHERE: "created_at > now() - interval \'90 days\'"; now() is fixed once, at the start',
    )
    .option('--keep-all', 'keep every row: frees the space of dead rows')
  return withDatabase(withLockOptions(withPace(withCopying(command), OF_CHUNKS).option('--execute', EXECUTE))).action(
    (table: string, words: Words) => act(invocation, table, words),
  )
}

async function act(invocation: Invocation, text: string, words: Words): Promise<void> {
  const { table, request, options } = readWords(invocation, text, words)
  await asking(invocation, words, table, options, (asked) => planOrCarryOut(asked, rebuild, request, OUTCOMES.rebuild))
}

function readWords({ context, args }: Invocation, text: string, words: Words) {
  const faults = new Faults()
  const table = faults.read('<table>', () => parseTableName(text))
  const keep = faults.read('--keep', () => whatToKeep(words))
  const copying = readCopying(words, args, faults)
  const diskFree = readDiskFree(words, faults)
  const lockLimits = readLockOptions(words, faults)
  const pacing = readPace(words, faults)
  const surroundings = readCommonOptions(words, context, faults)
  faults.throwIfAny()
  const request: RebuildRequest = { keep: keep(), ...copying() }
  return {
    table: table(),
    request,
    options: { ...surroundings(), ...diskFree(), lockLimits: lockLimits(), pacing: pacing() },
  }
}

const EITHER = 'Pass --keep "created_at > now() - interval \'90 days\'" or --keep-all.'

// Keeping everything is passed explicitly, and so is a condition: neither is the default.
function whatToKeep({ keep, keepAll }: Words): string | null {
  if (keep !== undefined && keepAll === true) throw new UsageError('it excludes --keep-all', EITHER)
  if (keep === undefined && keepAll !== true) throw new MissingError(EITHER)
  if (keep?.trim() === '') throw new UsageError('the condition is empty', EITHER)
  return keep ?? null
}
