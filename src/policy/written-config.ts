import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node } from 'yaml'
import { UsageError } from '../errors.ts'
import type { ConfigFaults, Placed } from './config-faults.ts'
import type { Path, Place } from './place.ts'

// A config in YAML or JSON, with where each of its parts stands. JSON is read by the same parser, which knows lines.

/** A config as it was written: a value, and the places of its parts, where its format has them. */
export interface WrittenConfig extends Placed {
  readonly value: unknown
}

/** What a program has put together has no lines. */
export function unplaced(value: unknown): WrittenConfig {
  return { value, place: () => null }
}

/** Reads YAML or JSON. What is wrong with it is noted, and it is then undefined. */
export function parseConfig(text: string, faults: ConfigFaults): WrittenConfig {
  const lines = new LineCounter()
  // A large number of ids must not lose its last digits.
  const document = parseDocument(text, { lineCounter: lines, intAsBigInt: true, prettyErrors: false })
  for (const { message, pos } of document.errors) {
    faults.noteAt(placeAt(lines, pos[0]), '', new UsageError(message, 'Correct how it is written.'))
  }
  if (document.errors.length > 0) return unplaced(undefined)
  return {
    value: plain(document.toJS({ maxAliasCount: 100 })),
    place: (path, of) => {
      const start = startOf(document, path, of)
      return start === null ? null : placeAt(lines, start)
    },
  }
}

function placeAt(lines: LineCounter, offset: number): Place {
  const { line, col: column } = lines.linePos(offset)
  return { line, column }
}

/** Where the last part of a path that is there begins. */
function startOf(document: Document.Parsed, path: Path, of: 'key' | 'value'): number | null {
  let node: unknown = document.contents
  let start = rangeStart(node)
  for (const [i, part] of path.entries()) {
    const inner = innerOf(document, node, part)
    if (inner === undefined) return start
    const isLast = i === path.length - 1
    start = rangeStart(isLast && of === 'value' ? (inner.value ?? inner.key) : inner.key) ?? start
    node = inner.value
  }
  return start
}

interface Inner {
  readonly key: unknown
  readonly value: unknown
}

function innerOf(document: Document.Parsed, outer: unknown, part: string | number): Inner | undefined {
  const node = isAlias(outer) ? outer.resolve(document) : outer
  if (isSeq(node)) return { key: node.items[Number(part)], value: node.items[Number(part)] }
  if (!isMap(node)) return undefined
  return node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part))
}

function rangeStart(node: unknown): number | null {
  return isNode(node) ? ((node as Node).range?.[0] ?? null) : null
}

/** Numbers as JSON has them; as text where JSON has them not. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]))
}
