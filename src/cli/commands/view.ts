import { Command } from 'commander'
import { view, type ViewOrder } from '../../engine/commands/view.ts'
import { UsageError } from '../../errors.ts'
import { parseInterval } from '../../grid/interval.ts'
import { parseTableName } from '../../sql/parse-name.ts'
import { EXECUTE, readCommonOptions, TABLE, withDatabase, type CommonOptions, type Invocation } from '../command.ts'
import { OUTCOMES } from '../outcomes.ts'
import { Faults, type Settled } from '../faults.ts'
import { readLockOptions, withLockOptions, type LockWords } from '../lock-options.ts'
import { asking, planOrCarryOut } from '../show-plan.ts'
import { parseCondition, parseName } from '../parse.ts'

interface Words extends CommonOptions, LockWords {
  readonly name?: string
  readonly hideMarked?: string
  readonly expired?: string
  readonly by?: string
  readonly keep?: string
  readonly execute?: true
}

/** `ebb view`: what readers use while rows wait to be purged. */
export function viewCommand(invocation: Invocation): Command {
  const command = new Command('view')
    .summary('maintain a view that hides marked or expired rows')
    .description(
      'Creates a view of the table without its marked or expired rows, readable for those who may read the table. The same command again updates it.',
    )
    .usage('<table> [--hide-marked <column>] [--by <key> --keep <interval>] [options]')
    .argument('<table>', TABLE)
    .option('--name <view>', 'its name (default: the table’s with _live)')
    .option('--hide-marked <column>', 'without the rows that ebb mark has marked there')
    .option('--expired <condition>', 'without the rows for which this is true, as after WHERE; now() moves on')
    .option('--by <key>', 'with --keep: the time by which rows expire')
    .option('--keep <interval>', 'without the rows that are older: 90 days')
    .option('--execute', EXECUTE)
  return withDatabase(withLockOptions(command)).action((table: string, words: Words) => act(invocation, table, words))
}

async function act(invocation: Invocation, text: string, words: Words): Promise<void> {
  const faults = new Faults()
  const table = faults.read('<table>', () => parseTableName(text))
  const order = readOrder(words, faults)
  const lockLimits = readLockOptions(words, faults)
  const surroundings = readCommonOptions(words, invocation.context, faults)
  faults.throwIfAny()
  const options = { ...surroundings(), lockLimits: lockLimits() }
  await asking(invocation, words, table(), options, (asked) => planOrCarryOut(asked, view, order(), OUTCOMES.view))
}

const EXPIRED = '--expired "valid_until < now()": which rows are to be hidden'

function readOrder(words: Words, faults: Faults): Settled<ViewOrder> {
  const name = faults.readOptional('--name', words.name, parseTableName)
  const hideMarked = faults.readOptional('--hide-marked', words.hideMarked, parseName)
  const expired = faults.readOptional('--expired', words.expired, (text) => parseCondition(text, EXPIRED))
  const by = faults.readOptional('--by', words.by, parseName)
  const keep = faults.readOptional('--keep', words.keep, parseInterval)
  faults.read('--keep', () => {
    if ((words.by === undefined) !== (words.keep === undefined))
      throw new UsageError('--by and --keep go together', 'Pass both: --by created_at --keep "90 days".')
    if ((words.hideMarked ?? words.expired ?? words.by) === undefined)
      throw new UsageError('nothing is to be hidden', 'Pass --hide-marked, --expired, or --by and --keep.')
  })
  return () => {
    const [column, interval] = [by(), keep()]
    return {
      name: name(),
      hideMarked: hideMarked(),
      expired: expired(),
      keep: column === null || interval === null ? null : { by: column, interval },
    }
  }
}
