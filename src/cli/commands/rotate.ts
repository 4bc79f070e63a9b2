import { Command } from 'commander'
import type { Target } from '../../db/session.ts'
import type { EngineOptions } from '../../engine/options.ts'
import {
  planRetirements,
  planRotations,
  rotate,
  type RotateRequest,
  type RotationReport,
} from '../../engine/commands/rotate.ts'
import { UsageError } from '../../errors.ts'
import { EXIT, exitCodeOfRotation } from '../exit-codes.ts'
import { parseInterval } from '../../grid/interval.ts'
import { explain } from '../../plan/explain/explain.ts'
import { explainRotation } from '../../plan/explain/rotation.ts'
import { describeRotation, NO_SETS, rotationForPrograms, type RotatedSet } from '../../report/rotation.ts'
import { toText } from '../../text/comment.ts'
import { parseTableName } from '../../sql/parse-name.ts'
import { refuseArchive } from '../archive.ts'
import {
  EXECUTE,
  executing,
  readCommonOptions,
  reporting,
  showsValues,
  withDatabase,
  type CommonOptions,
  type Invocation,
} from '../command.ts'
import { Faults } from '../faults.ts'
import { mapAfterwards } from '../partition-map.ts'
import { LIGHT_PACE } from '../../pacing/limits.ts'
import { OF_PARTITIONS, readPace, withPace, type PaceOptions } from '../pace-options.ts'
import { readLockOptions, withLockOptions, type LockWords } from '../lock-options.ts'
import type { Reporter } from '../reporter.ts'
import { planForPrograms } from '../show-plan.ts'

interface Words extends CommonOptions, LockWords, PaceOptions {
  readonly all?: true
  readonly keep?: string
  readonly retire: string
  /** Commander has one place for both: `--archive <uri>` puts the text there, `--no-archive` puts false. */
  readonly archive?: string | false
  readonly execute?: true
}

/** `ebb rotate`: partitions ahead, and what has expired goes. */
export function rotateCommand(invocation: Invocation): Command {
  const command = new Command('rotate')
    .summary('create partitions ahead, retire expired ones (retention)')
    .description(
      'Creates the partitions that will be needed, and retires those whose rows have all expired. Tables are independent: a failure of one does not stop the others.',
    )
    .usage('<table>… | --all [options]')
    .argument('[tables...]', 'partitioned tables, as SQL names them')
    .option('--all', 'all tables managed by rotate; ebb partition registers its tables')
    .option('--keep <interval>', 'retention period, instead of the registered one')
    .option('--retire <how>', 'what to do with expired partitions: drop, detach or truncate', 'drop')
    .option('--archive <uri>', 'archive the rows there first (not yet possible in this version)')
    .option('--no-archive', 'remove the rows without archiving them')
    .option('--execute', EXECUTE)
  return withDatabase(withPace(withLockOptions(command), OF_PARTITIONS)).action((tables: string[], words: Words) =>
    act(invocation, tables, words),
  )
}

async function act(invocation: Invocation, texts: readonly string[], words: Words): Promise<void> {
  const { target, request, options } = readWords(invocation, texts, words)
  await reporting(invocation.context, words, async (reporter, observer) => {
    const engine: EngineOptions = { ...options, observer }
    return words.execute === true
      ? execute(invocation, reporter, target, request, engine)
      : show(invocation, reporter, target, request, engine)
  })
}

async function show(
  { args, end }: Invocation,
  reporter: Reporter,
  target: Target,
  request: RotateRequest,
  options: EngineOptions,
): Promise<void> {
  const plans = await planRotations(target, request, options)
  const command = executing(args)
  const former = await planRetirements(target, request, options)
  const value = [
    ...plans.map((plan) => ({ ...planForPrograms(plan), policy: plan.policy, command })),
    ...former.map((plan) => ({ ...planForPrograms(plan), runId: plan.runId, policy: null, command })),
  ]
  reporter.show('plans', value, () =>
    value.length === 0
      ? toText(NO_SETS)
      : [
          ...plans.map((plan) => explainRotation(plan, { command })),
          ...former.map((plan) => explain(plan, { command })),
        ].join('\n'),
  )
  if (plans.some(({ objections }) => objections.length > 0)) end(EXIT.objections)
}

async function execute(
  { end, args }: Invocation,
  reporter: Reporter,
  target: Target,
  request: RotateRequest,
  options: EngineOptions,
): Promise<void> {
  const report = await rotate(target, request, options)
  const sets = await withMaps(target, report)
  const withValues = showsValues(args)
  reporter.show('result', rotationForPrograms(sets, report, withValues), () =>
    toText(describeRotation(sets, report, withValues)),
  )
  end(exitCodeOfRotation(report))
}

async function withMaps(target: Target, { sets }: RotationReport): Promise<RotatedSet[]> {
  const rotated: RotatedSet[] = []
  for (const report of sets) rotated.push({ report, map: await mapAfterwards(target, report.table) })
  return rotated
}

function readWords(invocation: Invocation, texts: readonly string[], words: Words) {
  const faults = new Faults()
  const tables = faults.read('<table>…', () => whichTables(texts, words))
  const keep = faults.readOptional('--keep', words.keep, parseInterval)
  const retire = faults.read('--retire', () => parseRetire(words.retire))
  faults.read('--archive', () => refuseArchive(invocation.args, ', or --retire detach to keep them as tables'))
  const lockLimits = readLockOptions(words, faults)
  const pacing = readPace(words, faults, LIGHT_PACE)
  const surroundings = readCommonOptions(words, invocation.context, faults)
  faults.throwIfAny()
  const { target, ...rest } = surroundings()
  const request: RotateRequest = {
    tables: tables(),
    keep: keep(),
    retire: retire(),
    noArchive: words.archive === false,
    accept: words.accept ?? [],
  }
  return { target, request, options: { ...rest, lockLimits: lockLimits(), pacing: pacing() } }
}

function whichTables(texts: readonly string[], { all }: Words): RotateRequest['tables'] {
  if (all === true && texts.length > 0) throw new UsageError('cannot be used with --all', 'Name tables, or pass --all.')
  if (all === true) return 'all'
  if (texts.length === 0) throw new UsageError('no table is named', 'Name tables, or pass --all.')
  return texts.map(parseTableName)
}

function parseRetire(text: string): RotateRequest['retire'] {
  if (text === 'drop' || text === 'detach' || text === 'truncate') return text
  throw new UsageError(`'${text}' is not a way to retire a partition`, 'Pass drop, detach or truncate.')
}
