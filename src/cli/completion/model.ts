import type { Command, Option as Flag } from 'commander'
import { wordsOf } from '../flags.ts'

/** A command as a shell completes it. */
export interface Completed {
  /** ` archive verify`; empty for what comes first. */
  readonly at: string
  /** Those below it, or what its argument may be. */
  readonly commands: readonly { readonly name: string; readonly help: string }[]
  readonly flags: readonly CompletedFlag[]
}

export interface CompletedFlag {
  readonly name: string
  readonly help: string
  /** What may follow: nothing, a file, one of some words, or something that only its user knows. */
  readonly value: null | 'file' | 'other' | readonly string[]
}

/** All commands, with those below them. */
export function completedCommands(command: Command, at = ''): Completed[] {
  const commands = command.commands.map((one) => ({ name: one.name(), help: one.summary() }))
  const choices = command.registeredArguments.flatMap(({ argChoices = [], description }) =>
    argChoices.map((name) => ({ name, help: description })),
  )
  const flags = command.createHelp().visibleOptions(command).map(completedFlag)
  const below = command.commands.flatMap((one) => completedCommands(one, `${at} ${one.name()}`))
  return [{ at, commands: [...commands, ...choices], flags }, ...below]
}

function completedFlag(flag: Flag): CompletedFlag {
  return { name: flag.long ?? flag.flags, help: flag.description, value: valueOf(flag) }
}

function valueOf(flag: Flag): CompletedFlag['value'] {
  if (!flag.required) return null
  const words = wordsOf(flag)
  if (words.length > 0) return words
  return /<(?:file|path|folder)>/.test(flag.flags) ? 'file' : 'other'
}

/** In single quotes, as bash and zsh read them. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
