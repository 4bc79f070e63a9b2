import { UsageError } from '../errors.ts'

// What can be asked of a command is described once: the command line makes flags
// and help from it, and the options of a program are read by it.

/** Reads a value: text as typed, or what a program or a file has given. @throws {UsageError} */
export interface Parser<T> {
  (value: unknown): T
  /** How it is written in a file; text by default. */
  readonly form?: Form
}

export type Form =
  'text' | 'number' | 'text or number' | 'text, number or true' | 'yes or no' | { readonly words: readonly string[] }

/** A parser of values that are not written as text in a file. */
export function inForm<T>(form: Form, parse: (value: unknown) => T): Parser<T> {
  return Object.assign((value: unknown) => parse(value), { form })
}

export interface Option<T = unknown> {
  /** As the help shows it: `--keep <interval>`, `[partition]`. */
  readonly flags: string
  readonly help: string
  /** Where a program gives it: `keep`, `pace.maxBlocked`; null where only the command line has it. */
  readonly property: string | null
  /** Of a flag without a value: the value of the property that says the same. */
  readonly means?: unknown
  readonly parse: Parser<T>
  /** The value where it is not given. */
  readonly otherwise: T
  /** The default as the help shows it. */
  readonly shown?: string
  readonly required?: boolean
  /** May be given several times, by a program as a list. */
  readonly repeated?: boolean
  /** A value, and what it stands for: shown where it is missing. */
  readonly example?: readonly [value: string, what?: string]
}

export type Options = Readonly<Record<string, Option>>

/** The values of options. */
export type Values<O extends Options> = { readonly [Key in keyof O]: O[Key] extends Option<infer T> ? T : never }

type More = Partial<Pick<Option, 'property' | 'means' | 'shown' | 'required' | 'repeated' | 'example'>>

/** An optional one: null where it is not given. */
export function option<T>(flags: string, help: string, parse: Parser<T>, more: More = {}): Option<T | null> {
  return { flags, help, property: camelCase(nameOf(flags)), parse, otherwise: null, ...more }
}

/** The same with another default. */
export function withDefault<T, Otherwise>(option: Option<T | null>, otherwise: Otherwise): Option<T | Otherwise> {
  return { ...option, otherwise } as Option<T | Otherwise>
}

/** One whose default the help shows. */
export function defaulted<T>(flags: string, help: string, parse: Parser<T>, shown: string, more: More = {}): Option<T> {
  return withDefault(option(flags, help, parse, { shown, ...more }), parse(shown))
}

/** One that has to be given. */
export function required<T>(flags: string, help: string, parse: Parser<T>, more: More = {}): Option<T> {
  return withDefault(option(flags, help, parse, { required: true, ...more }), undefined as never)
}

/** A flag without a value. */
export function flag(flags: string, help: string, more: More = {}): Option<boolean> {
  return withDefault(option(flags, help, yes, { means: true, ...more }), false)
}

const yes = inForm('yes or no', (value): true => {
  if (value === true) return true
  throw new UsageError('expected true or false', 'Pass true or false.')
})

/** `keep` of `--keep <interval>`, `no-archive`, `table` of `[table]`. */
export function nameOf(flags: string): string {
  return /[a-z-]*[a-z]/.exec(flags.replace(/^--/, ''))?.[0] ?? flags
}

export function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

export function keysOf<O extends Options>(options: O): (keyof O & string)[] {
  return Object.keys(options)
}

/** The same, optional and on the command line only. */
export function commandLineOnly<O extends Options>(options: O): CommandLineOnly<O> {
  const only = (one: Option) => ({ ...one, property: null, required: false, otherwise: null })
  return Object.fromEntries(Object.entries(options).map(([key, one]) => [key, only(one)])) as CommandLineOnly<O>
}

type CommandLineOnly<O> = { readonly [Key in keyof O]: O[Key] extends Option<infer T> ? Option<T | null> : never }
