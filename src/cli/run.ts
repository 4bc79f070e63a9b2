import { Command, CommanderError } from 'commander'
import { EbbError, UsageError } from '../errors.ts'
import { EXIT, type End, type Ending, type ExitCode, exitCodeOf } from './exit-codes.ts'
import { tellError } from '../report/error-text.ts'
import { toJson } from '../report/json.ts'
import { VERSION } from '../package.ts'
import type { Invocation } from './command.ts'
import { COMMANDS, type Listed } from './commands.ts'
import type { Context } from './context.ts'
import { commandOf, logOf, type Log } from './log.ts'

/** Runs one command line and returns its exit code. The only place where errors are printed. */
export async function run(args: readonly string[], context: Context): Promise<ExitCode> {
  const began = performance.now()
  const log = logOf(args, context)
  const endings: Ending[] = []
  const { exitCode, error } = await carriedOut(args, context, log, endings)
  const milliseconds = performance.now() - began
  for (const ending of endings) await ending({ exitCode, milliseconds, error })
  log.ended(exitCode, milliseconds)
  return exitCode
}

async function carriedOut(
  args: readonly string[],
  context: Context,
  log: Log,
  endings: Ending[],
): Promise<Omit<End, 'milliseconds'>> {
  let code: ExitCode = EXIT.done
  try {
    const named = commandOf(args)
    const invocation: Invocation = {
      ...{ context, log, args },
      end: (other) => (code = other),
      atEnd: (ending) => void endings.push(ending),
    }
    const main = await program(invocation, ({ name }) => name === named)
    main.hook('preAction', () => warnOfVariables(main, invocation))
    await main.parseAsync(args, { from: 'user' })
    return { exitCode: code, error: null }
  } catch (error) {
    return report(error, args, context, log)
  }
}

/** All commands: those that are wanted whole, of the others what the help lists. */
export async function program(invocation: Invocation, wanted: (command: Listed) => boolean): Promise<Command> {
  const main = new Command('ebb')
    .description(
      'Online partitioning and retention for PostgreSQL: keeps tables from growing for ever, with zero downtime.',
    )
    .version(VERSION, '--version')
    .helpCommand(false)
    .configureHelp({ subcommandTerm: (command) => `${command.name()} ${takes(command)}`.trimEnd() })
    // Words after a command are its own: `ebb archive verify --json` is not `ebb archive --json`.
    .enablePositionalOptions()
  for (const listed of COMMANDS) main.addCommand(await builtCommand(listed, invocation, wanted(listed)))
  speakThrough(main, invocation.context)
  return main
}

async function builtCommand(listed: Listed, invocation: Invocation, whole: boolean): Promise<Command> {
  const command = whole ? (await listed.load())(invocation) : new Command()
  command.name(listed.name).summary(listed.summary)
  // What the help lists has no flags.
  if (whole) (await import('./variables.ts')).nameVariables(command)
  return command
}

/** A mistyped variable would be ignored without a word. */
async function warnOfVariables(main: Command, invocation: Invocation): Promise<void> {
  const { log, context } = invocation
  const { env } = context
  const { unknownVariables, warningOf } = await import('./variables.ts')
  if (unknownVariables(main.commands, env).length === 0) return
  const { commands } = await program(invocation, () => true)
  for (const name of unknownVariables(commands, env)) {
    const warning = warningOf(name, commands)
    if (warning !== null) log.warn(warning)
  }
}

function takes(command: Command): string {
  return COMMANDS.find(({ name }) => name === command.name())?.takes ?? ''
}

function speakThrough(command: Command, context: Context): void {
  const { out, err } = context
  for (const below of command.commands) speakThrough(below, context)
  command.exitOverride((error) => {
    throw isHelp(error) ? error : usageError(error, command)
  })
  command.configureOutput({
    writeOut: (text) => out.write(text),
    writeErr: (text) => err.write(text),
    outputError: () => {}, // it is thrown as well, and printed where it is caught
    getOutHelpWidth: () => out.columns,
    getErrHelpWidth: () => err.columns,
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  })
}

function report(error: unknown, args: readonly string[], context: Context, log: Log): Omit<End, 'milliseconds'> {
  if (error instanceof CommanderError && isHelp(error))
    return { exitCode: error.exitCode === 0 ? EXIT.done : EXIT.usage, error: null }
  const met = translated(error, context)
  const told = tellError(met, args.includes('--show-values'))
  const exitCode = exitCodeOf(told.kind)
  log.error(told, exitCode)
  if (args.includes('--json')) context.out.write(`${toJson({ type: 'error', error: { ...told, exitCode } })}\n`)
  return { exitCode, error: tellError(met) }
}

function isHelp({ code }: CommanderError): boolean {
  return ['commander.help', 'commander.helpDisplayed', 'commander.version'].includes(code)
}

function translated(error: unknown, { signal }: Context): unknown {
  if (signal.aborted && isAbort(error)) return stopped(error)
  return error
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}

// commander: `error: unknown option '--evry'\n(Did you mean --every?)`
function usageError({ message }: CommanderError, command: Command): UsageError {
  const sentence = message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ')
  return new UsageError(sentence, `See ${nameOf(command)} --help.`)
}

/** With those above it: `ebb archive verify`. */
function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`
}

function stopped(cause: unknown): EbbError {
  return new EbbError(
    'stopped on request, between two steps',
    {
      state: 'What was committed before is kept.',
      next: 'Run the same command again: it resumes from here. Or undo the run: ebb abandon.',
    },
    'stopped',
    cause,
  )
}
