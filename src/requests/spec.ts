import { UsageError } from '../errors.ts'
import type { PaceSettings } from '../pacing/limits.ts'
import { MissingError, type Faults } from './faults.ts'
import type { Option, Options, Values } from './option.ts'

/** The options of a command, and the request that they make. */
export interface Spec<O extends Options = Options, Request = unknown> {
  readonly options: O
  /** The default pace. */
  readonly pace?: PaceSettings
  /** Notes what is missing or excludes each other. A value that could not be parsed is undefined. */
  check?(given: Given<O>, values: Partial<Values<O>>): void
  request(values: Values<O>): Request
}

/** A spec, with its types inferred. */
export function spec<O extends Options, Request>(described: Spec<O, Request>): Spec<O, Request> {
  return described
}

/** Where values come from, and how options are spelled there. */
export interface Source {
  /** Whether it can be given there at all. */
  offers(option: Option): boolean
  /** Undefined where the option is not given. */
  value(option: Option): unknown
  name(option: Option): string
  /** With a value, as it would be written there. */
  spell(option: Option, value?: string): string
}

/** Which options are given, and what is wrong with them. */
export class Given<O extends Options> {
  private readonly options: O
  private readonly source: Source
  private readonly faults: Faults

  constructor(options: O, source: Source, faults: Faults) {
    this.options = options
    this.source = source
    this.faults = faults
  }

  has(key: Key<O>): boolean {
    return this.value(this.option(key)) !== undefined
  }

  offers(key: Key<O>): boolean {
    return this.source.offers(this.option(key))
  }

  name(key: Key<O>): string {
    return this.source.name(this.option(key))
  }

  spell(key: Key<O>, value?: string): string {
    return this.source.spell(this.option(key), value)
  }

  refuse(key: Key<O>, message: string, next: string): void {
    this.faults.note(this.name(key), new UsageError(message, next))
  }

  /** One that has a meaning beside another one only. */
  needs(key: Key<O>, other: Key<O>): void {
    if (this.has(key) && !this.has(other))
      this.refuse(key, `it requires ${this.name(other)}`, `Add ${this.name(other)}, or omit it.`)
  }

  require(key: Key<O>, next = this.wanted(this.option(key))): void {
    if (!this.has(key)) this.faults.note(this.name(key), new MissingError(next))
  }

  /** The values, as far as they can be parsed. */
  values(): Values<O> {
    const read = Object.entries(this.options).map(([key, option]) => [
      key,
      this.faults.read(this.source.name(option), () => this.read(option)),
    ])
    return Object.fromEntries(read) as Values<O>
  }

  private read(option: Option): unknown {
    const value = this.value(option)
    if (value !== undefined) return option.parse(value)
    if (option.required === true) throw new MissingError(this.wanted(option))
    return option.otherwise
  }

  private value(option: Option): unknown {
    const value = this.source.value(option)
    return Array.isArray(value) && value.length === 0 ? undefined : value
  }

  private wanted(option: Option): string {
    const [value, what] = option.example ?? []
    return `Pass ${this.source.spell(option, value)}${what === undefined ? '' : `: ${what}`}.`
  }

  private option(key: Key<O>): Option {
    return this.options[key] as Option
  }
}

type Key<O> = keyof O & string

/** The values of a request, as far as they can be parsed; what is wrong is noted. */
export function readValues<O extends Options>(spec: Spec<O>, source: Source, faults: Faults): Values<O> {
  const given = new Given(spec.options, source, faults)
  const values = given.values()
  spec.check?.(given, values)
  return values
}

/** A value in quotes, as a shell or JavaScript would have it. */
export function inQuotes(value: string): string {
  return value.includes("'") ? `"${value}"` : `'${value}'`
}
