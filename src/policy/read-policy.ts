import { UsageError } from '../errors.ts'
import type { PartitionRequest } from '../plan/language/policy.ts'
import { engineOptions } from '../requests/common.ts'
import { Faults, MissingError } from '../requests/faults.ts'
import type { Option, Options, Values } from '../requests/option.ts'
import { tableName } from '../requests/parsers.ts'
import { propertiesOf } from '../requests/properties.ts'
import { ROTATE } from '../requests/rotate.ts'
import { readValues, type Source, type Spec } from '../requests/spec.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import type { ConfigFaults, Placed } from './config-faults.ts'
import { NO_ARCHIVE, PolicyText } from './policy-text.ts'
import type { Policy, Task, WrittenSet } from './policy.ts'
import { optionsOf, SECTION_NAMES, SECTIONS, SET_KEYS, SHARED, type SectionName } from './sections.ts'

// A policy is read by the options of the commands that carry it out, from an object such as a program would give them:
// so a word means the same in a file, in a call and on the command line.

/** What policies are read with. */
export interface Reading {
  readonly written: Placed
  readonly faults: ConfigFaults
}

/** Reads one policy; null where anything is wrong with it, which is noted. */
export function readPolicy(text: PolicyText, { written, faults }: Reading): Policy | null {
  const wrong: UsageError[] = []
  const note = (property: string, section: SectionName | null, error: UsageError) => {
    wrong.push(error)
    const isName = ['table', 'tables'].includes(property)
    const path = isName ? ['policies', text.name] : text.path(property, section)
    faults.note(written, path, isName || error instanceof MissingError ? 'key' : 'value', told(error))
  }
  const table = readName(text, note)
  const sections = SECTION_NAMES.filter((section) => text.has(section))
  if (sections.length === 0 && !text.isOfSet) {
    const next = `Say what is kept: ${[...SET_KEYS, ...SECTION_NAMES.slice(1)].join(', ')}.`
    faults.note(written, ['policies', text.name], 'key', new UsageError('the policy says nothing', next))
  }
  const read = reader(text, note)
  const set = text.has('partition') ? read(SECTIONS.partition.spec, 'partition', []) : null
  const hold = text.has('hold') ? read(SECTIONS.hold.spec, 'hold', []) : null
  const tasks = [
    text.isOfSet ? rotation(read, text) : null,
    ...(['mark', 'view', 'stale', 'purge'] as const).map((section) =>
      text.has(section) ? taskOfSection(read, section) : null,
    ),
  ]
  if (wrong.length > 0 || table === null) return null
  return {
    name: text.name,
    table,
    set: set === null ? null : setOf(set.request.attach, text),
    hold: hold?.request ?? null,
    tasks: tasks.filter((task) => task !== null),
  }
}

function setOf({ by, every, premake, expireBy, timezone }: PartitionRequest, text: PolicyText): WrittenSet {
  const isWritten = text.value('timezone', 'partition') !== undefined
  return { by, every, premake, expireBy, timezone: isWritten ? timezone : null }
}

type Note = (property: string, section: SectionName | null, error: UsageError) => void

function readName({ name }: PolicyText, note: Note): WrittenName | null {
  const faults = new Faults()
  const table = faults.read('table', () => tableName(name))
  for (const { error } of faults.all()) note('table', null, error)
  return table ?? null
}

/** Reads the request of a command from a section, and from the options of others besides. */
type Read = <O extends Options, Request>(
  spec: Spec<O, Request>,
  section: SectionName | null,
  besides: readonly Option[],
) => { readonly request: Request; readonly values: Values<O>; readonly engine: Task['engine'] } | null

function reader(text: PolicyText, note: Note): Read {
  return (spec, section, besides) => {
    const faults = new Faults()
    const offered = [...(section === null ? [] : optionsOf(section)), ...besides]
    const given = givenBy(text, section, offered, spec.options)
    const values = readValues(spec, only(propertiesOf(spec.options, given, faults), offered), faults)
    for (const { where, error } of faults.all()) note(where === 'noArchive' ? 'archive' : where, section, error)
    if (faults.all().length > 0) return null
    const { journalSchema: _, ...engine } = engineOptions(values, spec.pace)
    return { request: spec.request(values), values, engine }
  }
}

function rotation(read: Read, text: PolicyText): Task | null {
  // Of partitions that are only detached, moved for good or rewritten, nothing is archived: the archive is for what other
  // sections remove, or other tables.
  const isKept = ['detach', 'move', 'columnar'].some((how) => text.value('retire', null) === how)
  const isForOthers = text.has('purge') || text.has('stale') || text.isDefault('archive', null)
  const unarchived = isKept && isForOthers && text.value('keepMoved', null) === undefined
  const besides = sharedBy(ROTATE.options).filter(
    ({ property }) => !(unarchived && OF_ARCHIVES.includes(property ?? '')),
  )
  const found = read(ROTATE, null, besides)
  return found === null ? null : { kind: 'rotate', request: found.request, engine: found.engine }
}

const OF_ARCHIVES = ['archive', 'partSize', 'archiveFormat', 'compression', 'encryptTo']

function taskOfSection(read: Read, section: 'mark' | 'view' | 'stale' | 'purge'): Task | null {
  if (section === 'mark') {
    const found = read(SECTIONS.mark.spec, section, sharedBy(SECTIONS.mark.spec.options))
    return found === null ? null : { kind: 'mark', request: found.request, engine: found.engine }
  }
  if (section === 'view') {
    const found = read(SECTIONS.view.spec, section, sharedBy(SECTIONS.view.spec.options))
    return found === null ? null : { kind: 'view', request: found.request, engine: found.engine }
  }
  if (section === 'purge') {
    const found = read(SECTIONS.purge.spec, section, sharedBy(SECTIONS.purge.spec.options))
    return found === null ? null : { kind: 'purge', request: found.request, engine: found.engine }
  }
  const found = read(SECTIONS.stale.spec, section, sharedBy(SECTIONS.stale.spec.options))
  return found === null
    ? null
    : { kind: 'stale', request: found.request, flag: found.values.flag, engine: found.engine }
}

/** What a command has of what all have in common. */
function sharedBy(options: Options): Option[] {
  const known = Object.values(options).map(({ property }) => property)
  return Object.values(SHARED).filter(({ property }) => known.includes(property))
}

/** What a program would give. */
function givenBy(
  text: PolicyText,
  section: SectionName | null,
  offered: readonly Option[],
  options: Options,
): Record<string, unknown> {
  const given: Record<string, unknown> = 'tables' in options ? { tables: [text.name] } : { table: text.name }
  for (const property of new Set(offered.flatMap((option) => option.property ?? []))) {
    const value = text.value(property, section)
    if (property === 'archive' && value === NO_ARCHIVE) given.noArchive = true
    else if (value !== undefined) put(given, property.split('.'), value)
  }
  return given
}

function put(into: Record<string, unknown>, [first = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) into[first] = value
  else put((into[first] ??= {}) as Record<string, unknown>, rest, value)
}

/** Offers what a file can say; a program can say more. */
function only(source: Source, offered: readonly Option[]): Source {
  const known = [...offered.map(({ property }) => property), 'noArchive', 'table', 'tables']
  return { ...source, offers: ({ property }) => known.includes(property) }
}

function told(error: UsageError): UsageError {
  const next = error.advice.next.replace(/^Pass /, 'Write ')
  return new UsageError(error instanceof MissingError ? 'missing' : error.message, next, error)
}
