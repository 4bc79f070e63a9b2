import { resolve } from 'node:path'
import type { Path } from './place.ts'
import type { ConfigShape, PolicyShape } from './schema.ts'
import { SET_KEYS, SHARED, type SectionName } from './sections.ts'

/** What a config says of one table, and where it says it: in its policy, or in the defaults. */
export class PolicyText {
  readonly name: string
  private readonly own: PolicyShape
  private readonly defaults: PolicyShape
  private readonly folder: string

  constructor(name: string, { policies, defaults = {} }: ConfigShape, folder: string) {
    this.name = name
    this.own = policies[name] ?? {}
    this.defaults = defaultsFor(this.own, defaults)
    this.folder = folder
  }

  has(section: SectionName): boolean {
    return this.own[section] !== undefined
  }

  /** Whether it is about a partitioned table. */
  get isOfSet(): boolean {
    return isOfSet(this.own)
  }

  /** The value of an option: of a section, or where the option is a common one, beside the sections. */
  value(property: string, section: SectionName | null): unknown {
    const parts = this.partsOf(property, section)
    const own = at(this.own, parts)
    return located(property, own === undefined ? at(this.defaults, parts) : own, this.folder)
  }

  /** Where an option stands, or would stand. */
  path(property: string, section: SectionName | null): Path {
    const parts = this.partsOf(property, section)
    return this.isDefault(property, section) ? ['defaults', ...parts] : ['policies', this.name, ...parts]
  }

  /** Whether it is said in the defaults, and nowhere else. */
  isDefault(property: string, section: SectionName | null): boolean {
    const parts = this.partsOf(property, section)
    return at(this.own, parts) === undefined && at(this.defaults, parts) !== undefined
  }

  private partsOf(property: string, section: SectionName | null): string[] {
    const parts = property.split('.')
    return section === null || isShared(property) ? parts : [section, ...parts]
  }
}

function isShared(property: string): boolean {
  return Object.values(SHARED).some((option) => option.property === property)
}

function isOfSet(own: PolicyShape): boolean {
  return SET_KEYS.some((key) => own[key] !== undefined)
}

/** Of partitions that are not dropped, nothing is said of when. */
function isDropped(retire: unknown): boolean {
  return retire === undefined || retire === 'drop'
}

/** A default of partitioned tables makes no partitioned table of another one; nor one of those that are moved, a moved one. */
function defaultsFor(own: PolicyShape, all: PolicyShape): PolicyShape {
  const { keep, retire, grace, to, toUrl, keepMoved, partition, ...others } =
    own.archive === NO_ARCHIVE ? unarchived(all) : all
  if (!isOfSet(own)) return others
  const how = own.retire ?? retire
  const ofSets = {
    keep,
    retire,
    ...(isDropped(how) ? { grace } : {}),
    ...(how === 'move' ? { to, toUrl, keepMoved } : {}),
  }
  return own.partition === undefined ? { ...ofSets, ...others } : { ...ofSets, partition, ...others }
}

/** Of rows that are not archived, nothing is said of how. */
function unarchived({
  partSize: _,
  archiveFormat: __,
  compression: ___,
  encryptTo: ____,
  ...others
}: PolicyShape): PolicyShape {
  return others
}

function at(value: unknown, [first, ...rest]: readonly string[]): unknown {
  if (first === undefined) return value
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, first)) return undefined
  return at((value as Record<string, unknown>)[first], rest)
}

const FILES = ['pace.pauseFile', 'pace.stopFile', 'pace.paceFile']

/** Paths in a file are relative to its folder: a scheduled job starts anywhere. */
function located(property: string, value: unknown, folder: string): unknown {
  if (Array.isArray(value)) return value.map((one: unknown) => located(property, one, folder))
  if (typeof value !== 'string') return value
  const isPath =
    FILES.includes(property) ||
    (property === 'archive' && value !== NO_ARCHIVE && !/^[a-z][a-z0-9+.-]+:/i.test(value)) ||
    (property === 'encryptTo' && !/^age(?:1|-)/i.test(value))
  return isPath ? resolve(folder, value) : value
}

/** In a file, the same as the flag `--no-archive`. */
export const NO_ARCHIVE = 'none'
