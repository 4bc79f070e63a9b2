import { pathToFileURL } from 'node:url'
import { listArchives } from '../archive/list-archives.ts'
import { run } from '../cli/run.ts'
import type { Context } from '../cli/context.ts'
import { EbbError } from '../errors.ts'
import { EXIT } from '../cli/exit-codes.ts'
import type { Output } from '../report/output.ts'
import { KEPT } from './figures.ts'
import type { Narrator } from './narrator.ts'
import type { Shop } from './setup.ts'

/** What the story needs. */
export interface Stage {
  readonly narrator: Narrator
  readonly shop: Shop
  /** A directory for archives. */
  readonly archive: string
  readonly signal: AbortSignal
}

const CONVERT = ['partition', 'events', '--by', 'created_at', '--every', 'month', '--keep', KEPT]
const SPLIT = ['split', 'events', '--keep', KEPT, '--no-archive']
const ROTATE = ['rotate', 'events', 'page_views', '--keep', KEPT, '--archive']

/** What a user would do, command by command, each run through the command line. */
export async function tellStory(stage: Stage): Promise<void> {
  const { narrator, archive } = stage
  const rotate = [...ROTATE, archive]

  narrator.heading('1. Look')
  narrator.say('What is this table, what depends on it, and what could go wrong?')
  await type(stage, ['inspect', 'events'])

  narrator.heading('2. Plan')
  narrator.say(
    'Without --execute a command changes nothing and prints its plan, a script with what each step locks. Here are its steps.',
  )
  await type(stage, CONVERT, stepsOnly)

  narrator.heading('3. Partition')
  narrator.say(
    'No row is moved: the table becomes the first partition of a new one that takes its name, its grants, its view, its trigger and its foreign key. The application keeps running.',
  )
  await type(stage, [...CONVERT, '--execute'])

  narrator.heading('4. Rotate')
  narrator.say(
    `From now on this is the only maintenance, for example once a day: create partitions ahead of time, and drop those whose rows are all older than ${KEPT}, after their rows have been archived and the archive has been read back. ` +
      'page_views, which already had monthly partitions, is maintained by the same command. First the plan, then its execution.',
  )
  await type(stage, rotate, withoutScript)
  await type(stage, [...rotate, '--execute'], withoutMaps)

  narrator.heading('5. Restore')
  narrator.say(
    'Each dropped partition has an archive with a receipt, which is all that an audit needs, and it can come back: as a partition, on hold, so that the next rotation does not drop it again.',
  )
  const receipt = await newestReceipt(stage)
  await type(stage, ['archive', 'verify', receipt])
  await type(stage, ['restore', receipt, '--attach', '--execute'])
  await type(stage, [...rotate, '--execute'], withoutMaps)

  narrator.heading('6. Split')
  narrator.say(
    `The rows that events held before are still in one partition, which would expire as a whole on the date shown above. To free the space now, the rows of the last ${KEPT} are copied into monthly partitions while the application keeps running; changes are captured and applied, both sides are compared, and then they are swapped.`,
  )
  await type(stage, [...SPLIT, '--execute'], withoutMaps)

  narrator.heading('7. Retire')
  narrator.say(
    'The original partition has been kept and updated, so that ebb rollback would lose nothing. Once the result is confirmed, it is dropped.',
  )
  await type(stage, ['status'])
  await type(stage, ['retire', '--all', '--execute'])
}

async function newestReceipt({ archive, signal }: Stage): Promise<string> {
  const { archives } = await listArchives(pathToFileURL(archive).href, signal)
  const newest = archives.at(-1)
  if (newest === undefined) throw new Error('the rotation has archived nothing')
  return newest.receipt
}

/** Runs a command, and prints its output as shortened by `abridge`. */
async function type(stage: Stage, args: readonly string[], abridge: (text: string) => string = whole): Promise<void> {
  const { narrator, shop, signal } = stage
  narrator.typed(args)
  const said: string[] = []
  const out: Output = { ...plain(narrator.out), write: (text) => said.push(text) }
  const context: Context = { out, err: narrator.out, env: { DATABASE_URL: shop.url }, signal }
  const code = await run(args, context)
  narrator.line(abridge(said.join('')).trimEnd())
  if (code !== EXIT.done) throw ended(args, code, signal)
}

function plain({ columns }: Output): Omit<Output, 'write'> {
  return { columns, isTTY: false }
}

function whole(text: string): string {
  return text
}

/** Of a plan: its goal, the titles of its steps, and the next command. */
function stepsOnly(script: string): string {
  const lines = script.trimEnd().split('\n')
  const titles = lines.filter((line) => /^-- Step \d+ of \d+: /.test(line))
  const shown = [lines[0] ?? '', ...titles, lines.at(-1) ?? ''].map((line) => line.replace(/^-- /, ''))
  return [...shown.slice(0, -1), `(${lines.length} lines in total)`, ...shown.slice(-1)].join('\n')
}

/** Of a plan: the part before its script, and the next command. */
function withoutScript(plan: string): string {
  let inScript = false
  const shown = plan.split('\n').filter((line) => {
    if (/^-- (?:psql stops|For reading only)/.test(line)) inScript = true
    if (line.startsWith('-- Nothing has been changed')) inScript = false
    return !inScript
  })
  return shown.map((line) => line.replace(/^-- ?/, '')).join('\n')
}

/** The end of the demo shows the partitions, so the reports omit them. */
function withoutMaps(report: string): string {
  return report
    .replace(/\n *[\d.]+ \w+ in \d+ partitions:\n(?: +\S.*\n)*/g, '')
    .replace(/\n +partition +from +to .*\n(?: +\S.*\n)*/g, '')
}

function ended(args: readonly string[], code: number, signal: AbortSignal): EbbError {
  const state = 'The demo’s server has been removed.'
  return signal.aborted
    ? new EbbError('the demo was stopped', { state, next: 'Start it again: ebb demo.' }, 'stopped')
    : new EbbError(`ebb ${args[0]} ended with exit code ${code}`, {
        state,
        next: 'Please report it with the output above.',
      })
}
