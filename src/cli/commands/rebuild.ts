import { Command } from 'commander'
import type { EngineOptions } from '../../engine/options.ts'
import { planRebuildOf, rebuild } from '../../engine/commands/rebuild.ts'
import { UsageError } from '../../errors.ts'
import type { RebuildRequest } from '../../plan/copy/rebuild.ts'
import { describeCopied } from '../../report/copied.ts'
import { toText } from '../../text/comment.ts'
import { parseTableName } from '../../sql/parse-name.ts'
import { lookAfterCopy } from '../copied.ts'
import {
  EXECUTE,
  readCommonOptions,
  reporting,
  TABLE,
  withDatabase,
  type CommonOptions,
  type Invocation,
} from '../command.ts'
import { readCopying, readDiskFree, withCopying, type CopyOptions } from '../copy-options.ts'
import { Faults } from '../faults.ts'
import { OF_CHUNKS, readPace, withPace, type PaceOptions } from '../pace-options.ts'
import { readLockOptions, withLockOptions, type LockWords } from '../lock-options.ts'
import { orObjections, showPlan } from '../show-plan.ts'

interface Words extends CommonOptions, LockWords, PaceOptions, CopyOptions {
  readonly keep?: string
  readonly keepAll?: true
  readonly execute?: true
}

/** `ebb rebuild`: a new table around the rows worth keeping. */
export function rebuildCommand(invocation: Invocation): Command {
  const command = new Command('rebuild')
    .summary('build a table anew around the rows worth keeping, while it is in use')
    .description(
      'Copies the rows worth keeping into a new table while everybody works, catches every change meanwhile, compares both, and exchanges them in milliseconds. The former table is kept for ebb rollback until ebb retire lets it go.',
    )
    .usage('<table> --keep <condition> | --keep-all [options]')
    .argument('<table>', TABLE)
    .option(
      '--keep <condition>',
      'the rows worth keeping, as after WHERE: "created_at > now() - interval \'90 days\'"; now() is fixed once, at the start',
    )
    .option('--keep-all', 'keep every row: gives back the space of those that are gone already')
  return withDatabase(withLockOptions(withPace(withCopying(command), OF_CHUNKS).option('--execute', EXECUTE))).action(
    (table: string, words: Words) => act(invocation, table, words),
  )
}

async function act(invocation: Invocation, text: string, words: Words): Promise<void> {
  const { table, request, options } = readWords(invocation, text, words)
  await reporting(invocation.context, words, async (reporter, observer) => {
    const { target, ...rest } = options
    const engine: EngineOptions = { ...rest, observer }
    if (words.execute !== true)
      return showPlan(invocation, reporter, await planRebuildOf(target, table, request, engine))
    await orObjections(invocation, reporter, async () => {
      const copied = await lookAfterCopy(target, 'rebuild', await rebuild(target, table, request, engine))
      reporter.show('result', copied, () => toText(describeCopied(copied)))
    })
  })
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

const EITHER = 'Say --keep "created_at > now() - interval \'90 days\'" or --keep-all.'

// Keeping everything is said in so many words, and so is what is kept: neither is what a forgotten word means.
function whatToKeep({ keep, keepAll }: Words): string | null {
  if (keep !== undefined && keepAll === true) throw new UsageError('--keep-all is said, too', EITHER)
  if (keep === undefined && keepAll !== true) throw new UsageError('it is missing', EITHER)
  if (keep?.trim() === '') throw new UsageError('the condition is empty', EITHER)
  return keep ?? null
}
