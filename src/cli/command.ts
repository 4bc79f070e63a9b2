import { Command } from 'commander'
import { placeOf, type Address, type Target } from '../db/session.ts'
import type { EngineOptions } from '../engine/options.ts'
import type { Observer } from '../events.ts'
import type { Ending, ExitCode } from './exit-codes.ts'
import { engineOptions, type AT_END, type DATABASE, type EngineValues } from '../requests/common.ts'
import { HOOKS } from '../requests/hooks.ts'
import type { METRICS_PORT } from '../requests/metrics-port.ts'
import type { PLAN_FILE } from '../requests/plan-file.ts'
import { Faults } from '../requests/faults.ts'
import { nameOf, type Options, type Values } from '../requests/option.ts'
import { readValues, type Spec } from '../requests/spec.ts'
import { hostsOnly, redact } from '../text/redact.ts'
import { shellWord } from '../text/shell-word.ts'
import { assertNamed, targetOf } from './connection.ts'
import type { Context } from './context.ts'
import { flagsOf, withOptions } from './flags.ts'
import { commandOf, type Log } from './log.ts'
import { NO_NOTES, type Notes, type OfRun } from './notes.ts'
import { reporterFor, type Reporter } from './reporter.ts'
import { variablesFor, type Variable } from './variables.ts'

/** One invocation of the command line. */
export interface Invocation {
  readonly context: Context
  readonly log: Log
  /** As typed, without the name of the program. */
  readonly args: readonly string[]
  /** What the environment says besides. */
  readonly variables?: readonly Variable[]
  /** How it ended, where that is neither plain success nor an error. */
  readonly end: (code: ExitCode) => void
  /** What is done once the exit code is known. */
  readonly atEnd: (ending: Ending) => void
}

/** What the help of a command says, apart from its name and options. */
export interface Texts {
  readonly description: string
  readonly usage?: string
}

/** One command line whose options have been parsed. */
export interface Asked<To extends Target = Target> {
  readonly invocation: Invocation
  readonly reporter: Reporter
  readonly target: To
  /** Without it the plan is only shown. */
  readonly execute: boolean
  readonly engine: EngineOptions
  readonly planFile: PlanFile
  /** For metrics and hooks. */
  readonly notes: Notes
}

/** Where a plan is saved, and which one is executed; null without. */
export interface PlanFile {
  readonly out: string | null
  readonly saved: string | null
}

/** One command line that needs no database, whose options have been parsed. */
export interface AskedLocally {
  readonly invocation: Invocation
  readonly reporter: Reporter
}

/** A command of the command line; `answer` is called once its options have been parsed. */
export function commandLine<O extends Options & Omit<typeof DATABASE, 'journalSchema'>, Request>(
  spec: Spec<O, Request>,
  texts: Texts,
  answer: (asked: Asked<Address>, request: Request, values: Values<O>) => void | Promise<void>,
): (invocation: Invocation) => Command {
  return parsed(spec, texts, async (values, faults, { invocation, reporter }) => {
    const { context } = invocation
    const common = values as Common
    const target = faults.read('connection', () => targetOf(common.url ?? null, context.env))
    faults.throwIfAny()
    assertNamed(common.url ?? null, context.env)
    const execute = common.execute === true
    const run = { command: commandOf(invocation.args) ?? '', database: placeOf(target) }
    // A plan that is only shown is no run.
    const notes = execute || !('execute' in spec.options) ? await notesOf(run, invocation, common) : NO_NOTES
    const observer: Observer = (event) => {
      notes.observe(event)
      reporter.observer(event)
    }
    const engine = { ...engineOptions(common, spec.pace), observer, signal: context.signal }
    const planFile = { out: common.planOut ?? null, saved: common.plan ?? null }
    await answer({ invocation, reporter, target, execute, engine, planFile, notes }, spec.request(values), values)
  })
}

type Common = EngineValues & { readonly execute?: boolean } & Partial<Values<typeof PLAN_FILE & Told>>

type Told = typeof AT_END & typeof METRICS_PORT

/** Loaded where they are wanted only. */
async function notesOf(run: OfRun, invocation: Invocation, values: Partial<Values<Told>>): Promise<Notes> {
  const { metricsFile, metricsPort = null, onFailure, onObjection, onFinish } = values
  // Of a command that has no such options.
  if (metricsFile === undefined) return NO_NOTES
  const { AtEnd } = await import('./at-end.ts')
  const hooks = { onFailure: onFailure ?? null, onObjection: onObjection ?? null, onFinish: onFinish ?? null }
  const atEnd = new AtEnd(run, invocation.log, metricsFile, hooks)
  invocation.atEnd((end) => atEnd.tell(end))
  if (metricsPort !== null) await atEnd.serve(metricsPort)
  return atEnd
}

/** The same for a command that needs no database. */
export function localCommandLine<O extends Options & Json, Request>(
  spec: Spec<O, Request>,
  texts: Texts,
  answer: (asked: AskedLocally, request: Request, values: Values<O>) => void | Promise<void>,
): (invocation: Invocation) => Command {
  return parsed(spec, texts, (values, faults, asked) => {
    faults.throwIfAny()
    return answer(asked, spec.request(values), values)
  })
}

type Json = Pick<typeof DATABASE, 'json'>

function parsed<O extends Options & Json, Request>(
  spec: Spec<O, Request>,
  { description, usage }: Texts,
  answer: (values: Values<O>, faults: Faults, asked: AskedLocally) => void | Promise<void>,
): (invocation: Invocation) => Command {
  return (invocation) => {
    const { context, args } = invocation
    const command = withOptions(new Command().description(description), spec.options)
    if (usage !== undefined) command.usage(usage)
    return command.action(async () => {
      const faults = new Faults()
      const values = readValues(spec, flagsOf(command, args, context.env), faults)
      const reporter = reporterFor(context, (values as Values<Json>).json, invocation.log)
      try {
        const variables = variablesFor(command, context.env)
        await answer(values, faults, { invocation: { ...invocation, variables }, reporter })
      } finally {
        reporter.end()
      }
    })
  }
}

/**
 * The command line that carries out what was shown, with the variables that it was shown with, ready to be typed into a
 * shell; secrets in it are not repeated.
 */
export function executing({ args, variables = [] }: Invocation): string {
  // What was saved is what is executed.
  const words = args.map((word, i) => withoutSecrets(word.replace(/^--plan-out(?==|$)/, '--plan'), args[i - 1]))
  const assigned = variables.map(({ name, value }) => {
    return `${name.replace(/_PLAN_OUT$/, '_PLAN')}=${shellWord(withoutSecrets(value, name))}`
  })
  return [...assigned, ...['ebb', ...words, '--execute'].map(shellWord)].join(' ')
}

const HOOK_FLAGS = Object.values(HOOKS).map(({ flags }) => nameOf(flags))
const OF_HOOK = new RegExp(`^(?:--|EBB_)(?:${HOOK_FLAGS.join('|').replaceAll('-', '[-_]')})(?:=|$)`, 'i')

/** A word that was typed, or the value of a variable; `before` is what it belongs to. */
function withoutSecrets(word: string, before = ''): string {
  return OF_HOOK.test(word) || OF_HOOK.test(before) ? hostsOnly(word) : withoutQuery(redact(word))
}

// A health check that wants a token has it in the query of its URL.
function withoutQuery(word: string): string {
  return word.replace(/^((?:--health-url=)?https?:\/\/[^?#]*)[?#].*$/is, '$1?***')
}
