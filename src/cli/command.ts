import { Command } from 'commander'
import type { Target } from '../db/session.ts'
import type { ExitCode } from './exit-codes.ts'
import { DEFAULT_SCHEMA } from '../journal/journal.ts'
import { shellWord } from '../text/shell-word.ts'
import type { Observer } from '../events.ts'
import { redact } from '../text/redact.ts'
import { targetOf } from './connection.ts'
import type { Context } from './context.ts'
import type { Faults } from './faults.ts'
import { reporterFor, type Reporter } from './reporter.ts'
import { collect, parseName } from './parse.ts'

/** One command line under way. */
export interface Invocation {
  readonly context: Context
  /** As typed, without the name of the program. */
  readonly args: readonly string[]
  /** How it ended, where that is neither plain success nor an error. */
  readonly end: (code: ExitCode) => void
}

/** The words that every command with a database understands. */
export interface CommonOptions {
  readonly url?: string
  readonly journalSchema: string
  readonly accept?: readonly string[]
  readonly json?: true
}

/** What a command says of its table. */
export const TABLE = 'as SQL names it: events, public.events, \'"My.Schema"."Events"\''

/** What a command says of --execute. */
export const EXECUTE = 'execute the plan; without this it is only shown'

/** What they mean. */
export interface CommonSettings {
  readonly target: Target
  readonly journalSchema: string
  /** Codes of objections that are accepted. */
  readonly accept: readonly string[]
  readonly signal: AbortSignal
}

/** They object to nothing. */
const WITHOUT_OBJECTIONS: readonly string[] = ['status', 'abandon', 'retire']

/** Gives a command the common words. */
export function withDatabase(command: Command): Command {
  const named = command
    .option('--url <url>', 'the database; else DATABASE_URL, else PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE')
    .option('--journal-schema <name>', 'the schema of Ebb’s journal', DEFAULT_SCHEMA)
    .option('--json', 'print JSON, one object per line, on standard output')
    .option('--show-values', 'let errors show the values of the rows they are about')
  if (WITHOUT_OBJECTIONS.includes(command.name())) return named
  return named.option('--accept <code>', 'accept this blocking issue; may be repeated', collect)
}

/** Reads the common words; false values are noted in `faults`. */
export function readCommonOptions(
  words: CommonOptions,
  { env, signal }: Context,
  faults: Faults,
): () => CommonSettings {
  const target = faults.read('connection', () => targetOf(words.url, env))
  const journalSchema = faults.read('--journal-schema', () => parseName(words.journalSchema))
  return () => ({ target: target(), journalSchema: journalSchema(), accept: words.accept ?? [], signal })
}

/** Whether errors are to show values of rows: what is asked for before the words have been read. */
export function showsValues(args: readonly string[]): boolean {
  return args.includes('--show-values')
}

/** Runs `work` with a reporter, which is ended whatever happens. */
export async function reporting<T>(
  context: Context,
  { json }: Pick<CommonOptions, 'json'>,
  work: (reporter: Reporter, observer: Observer) => Promise<T>,
): Promise<T> {
  const reporter = reporterFor(context, json === true)
  try {
    return await work(reporter, reporter.observer)
  } finally {
    reporter.end()
  }
}

/** The command line that carries out what was shown, ready to be typed into a shell; secrets in it are not repeated. */
export function executing(args: readonly string[]): string {
  return ['ebb', ...args, '--execute'].map((word) => shellWord(withoutQuery(redact(word)))).join(' ')
}

// A health check that wants a token has it in the query of its URL.
function withoutQuery(word: string): string {
  return word.replace(/^((?:--health-url=)?https?:\/\/[^?#]*)[?#].*$/is, '$1?***')
}
