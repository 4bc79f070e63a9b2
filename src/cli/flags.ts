import { Argument, Option as Flag, type Command } from 'commander'
import { camelCase, nameOf, type Option, type Options } from '../requests/option.ts'
import { inQuotes, type Source } from '../requests/spec.ts'
import type { Context } from './context.ts'
import { variableFor, type Variable } from './variables.ts'

/** Adds the flags and arguments of a spec, in the order of the help. */
export function withOptions(command: Command, options: Options): Command {
  for (const option of Object.values(options)) {
    if (isFlag(option)) command.addOption(flagOf(option))
    else command.addArgument(new Argument(option.flags, option.help))
  }
  return command
}

function isFlag({ flags }: Option): boolean {
  return flags.startsWith('--')
}

/** A flag that knows which words may follow it: choices of commander would change the help, and be checked twice. */
class WordedFlag extends Flag {
  words: readonly string[] = []
}

export function wordsOf(flag: Flag): readonly string[] {
  return flag instanceof WordedFlag ? flag.words : []
}

function flagOf({ flags, help, shown, repeated, parse: { form } }: Option): Flag {
  const flag = new WordedFlag(flags, help)
  if (typeof form === 'object') flag.words = form.words
  if (shown !== undefined) flag.default(shown)
  if (repeated === true) flag.argParser((value, before: readonly string[] = []) => [...before, value])
  return flag
}

/** What was typed; of flags that were not, what the environment says. */
export function flagsOf(command: Command, args: readonly string[], env: Context['env']): Source {
  const fromEnvironment = (option: Option): Variable | null =>
    isFlag(option) ? variableFor(command, nameOf(option.flags), env) : null
  const asTyped = (option: Option): string =>
    isFlag(option) ? `--${nameOf(option.flags)}` : `<${nameOf(option.flags)}>`
  const name = (option: Option): string => fromEnvironment(option)?.name ?? asTyped(option)
  return {
    offers: () => true,
    value(option) {
      const variable = fromEnvironment(option)
      if (variable !== null) return valueOf(option, variable)
      return isFlag(option) ? typed(command, args, option) : argument(command, option)
    },
    name,
    spell(option, value) {
      if (value === undefined) return name(option)
      const word = /^[\w.]+$/.test(value) ? value : inQuotes(value)
      if (fromEnvironment(option) !== null) return `${name(option)}=${word}`
      return isFlag(option) ? `${name(option)} ${word}` : name(option)
    },
  }
}

/** Of a flag that may be repeated, a variable has one value on each line. */
function valueOf({ repeated }: Option, { value }: Variable): unknown {
  if (repeated !== true) return value
  return value.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]))
}

function argument(command: Command, { flags }: Option): unknown {
  const position = command.registeredArguments.findIndex((argument) => argument.name() === nameOf(flags))
  return command.processedArgs[position] as unknown
}

/**
 * Commander has one place for `--archive <uri>` and `--no-archive`, and keeps
 * the last of them: rows that were to be stored must not go unstored because of
 * the order of two options. So `--archive` is looked up in the arguments themselves.
 */
function typed(command: Command, args: readonly string[], { flags }: Option): unknown {
  const name = nameOf(flags)
  const attribute = camelCase(name.replace(/^no-/, ''))
  if (command.getOptionValueSource(attribute) !== 'cli') return undefined
  const value: unknown = command.getOptionValue(attribute)
  if (name.startsWith('no-')) return value === false ? true : undefined
  if (value !== false) return value
  return args.find((word) => word === `--${name}` || word.startsWith(`--${name}=`))
}
