import type { Command, Option as Flag } from 'commander'
import { COMMON, DATABASE, DISK_FREE, LOCKS } from '../requests/common.ts'
import { HOOKS } from '../requests/hooks.ts'
import { nameOf, type Option } from '../requests/option.ts'
import { PACE } from '../requests/pace.ts'
import { RUN } from '../requests/policies.ts'
import { APPROVAL } from '../requests/review.ts'
import { nearest } from '../text/nearest.ts'

// Environment variables: one for each flag that takes a value, made of the flags themselves.

type Env = Readonly<Record<string, string | undefined>>

/** Where the database is and how a run behaves is the same for all commands; what a command does is its own. */
const OF_ALL = namesOf({ ...DATABASE, ...LOCKS, ...PACE, ...DISK_FREE, ...HOOKS, config: RUN.options.config })
/** An approval is typed where it is meant; the database has DATABASE_URL. */
const TYPED_ONLY = namesOf({ url: DATABASE.url, accept: COMMON.accept, ...APPROVAL })

function namesOf(options: Readonly<Record<string, Option>>): string[] {
  return Object.values(options).map(({ flags }) => nameOf(flags))
}

/** Gives the flags of a command, and of those below it, their variables: EBB_LOCK_TIMEOUT, EBB_ROTATE_KEEP. */
export function nameVariables(command: Command, name = command.name()): void {
  for (const below of command.commands) nameVariables(below, name)
  for (const flag of command.options)
    if ((flag.required || flag.optional) && !TYPED_ONLY.includes(flag.name())) flag.env(variableOf(name, flag))
}

function variableOf(command: string, flag: Flag): string {
  return inCapitals(OF_ALL.includes(flag.name()) ? flag.name() : `${command}-${flag.name()}`)
}

function inCapitals(name: string): string {
  return `EBB_${name.toUpperCase().replaceAll('-', '_')}`
}

/** A variable, and what it is set to. */
export interface Variable {
  readonly name: string
  readonly value: string
}

/** The variable that says something about a flag; null where none does, or where the flag is typed. */
export function variableFor(command: Command, name: string, env: Env): Variable | null {
  const flag = command.options.find(({ long }) => long === `--${name}`)
  if (flag?.envVar === undefined || command.getOptionValueSource(flag.attributeName()) === 'cli') return null
  const value = env[flag.envVar]
  // Set to nothing is how a shell or a container takes one back.
  return value === undefined || value === '' ? null : { name: flag.envVar, value }
}

/** All variables that say something about a command line. */
export function variablesFor(command: Command, env: Env): Variable[] {
  return command.options.flatMap(({ long }) => variableFor(command, (long ?? '').slice(2), env) ?? [])
}

/** Of others: the project's own tests, and what Kubernetes sets for a service named ebb. */
const NOT_OURS = /^EBB_(?:(?:TEST|BENCH|MATRIX)_|SERVICE_|PORT(?:_|$))/

/** The variables that look like ours and may be mistyped. */
export function unknownVariables(commands: readonly Command[], env: Env): string[] {
  const known = commands.flatMap(flagsOf).map(({ envVar }) => envVar)
  return Object.keys(env).filter((name) => /^EBB_/.test(name) && !NOT_OURS.test(name) && !known.includes(name))
}

/** What is said of an unknown variable; null where it is probably somebody else's. `commands` are all there are. */
export function warningOf(variable: string, commands: readonly Command[]): string | null {
  const typed = commands.flatMap((command) => {
    const others = flagsOf(command).filter(({ envVar }) => envVar === undefined)
    return others.filter((flag) => [inCapitals(flag.name()), variableOf(command.name(), flag)].includes(variable))
  })
  if (typed[0] !== undefined) return `${variable} is ignored: ${typed[0].long} is not read from variables of Ebb`
  const known = commands.flatMap(flagsOf).flatMap(({ envVar }) => envVar?.slice('EBB_'.length).toLowerCase() ?? [])
  const near = nearest(variable.slice('EBB_'.length), known)
  if (near !== null) return `${variable} is ignored; did you mean ${inCapitals(near)}?`
  const command = commands.find((one) => variable.startsWith(`${inCapitals(one.name())}_`))
  return command === undefined
    ? null
    : `${variable} is ignored: ebb ${command.name()} has no such flag; see ebb ${command.name()} --help`
}

function flagsOf(command: Command): Flag[] {
  return [...command.options, ...command.commands.flatMap(flagsOf)]
}
