import { display, companion, quoted, type TableName } from '../../sql/names.ts'
import { ident, join, sql } from '../../sql/sql.ts'
import { shellWord } from '../../text/shell-word.ts'
import { showBytes } from '../../text/units.ts'
import type { DropIndexStep, IndexStep } from '../language/step.ts'
import { indexingTime } from '../table/primary-key.ts'
import type { Cascade } from './cascade.ts'
import type { WalkedReference } from './graph.ts'
import { slowLookUp, type LookUpCost } from './look-up-cost.ts'

// A temporary index of a table whose foreign key has none, for as long as rows are deleted that it references: PostgreSQL
// looks for the referencing rows once for each deleted row. It is known by its name, so that one of no known run is found.

/** An index that a purge builds, or finds left over, and drops. */
export interface HelperIndex {
  /** It is in the same schema. */
  readonly table: TableName
  readonly index: string
}

/** What the helper indexes of a plan are made from. */
export interface HelperFacts {
  /** Part of their names, so that they are unique. */
  readonly tag: string
  /** Those of the tables around that are of no unfinished run: they are dropped with those of this one. */
  readonly left: readonly HelperIndex[]
}

/** Their names, as a regular expression for both PostgreSQL and JavaScript. */
export const HELPER_NAME = '_ebb_helper_[0-9]+_[0-9a-f]{8}$'

/** By which a helper index for the foreign key is accepted. */
function helperCode({ reference, from }: WalkedReference): string {
  return `helper-index:${display(from.name)}.${reference.name}`
}

/** Whether one can be built: not beside a partitioned table, nor without its owner's rights. */
function canHelp({ from: { partitioned, mayIndex } }: WalkedReference): boolean {
  return !partitioned && mayIndex === true
}

/** How a plan offers one, in a sentence. */
export function helperOffer(walked: WalkedReference): string[] {
  if (!canHelp(walked)) return []
  return [
    `Or let the purge build one, ${sizeOf(walked)}, and drop it at the end: --accept ${shellWord(helperCode(walked))}.`,
  ]
}

/** The helper indexes of a purge, and what they change about its cascade. */
export interface Helpers {
  readonly build: readonly IndexStep[]
  /** Those that are built, and those left over. */
  readonly indexes: readonly HelperIndex[]
  /** In which their references count as indexed. */
  readonly cascade: Cascade
}

/** Helper indexes for the references whose look-ups are slow, as far as they are accepted and can be built. */
export function planHelpers(
  cascade: Cascade,
  costs: readonly LookUpCost[],
  accept: readonly string[],
  facts: HelperFacts | undefined,
): Helpers {
  if (facts === undefined) return { build: [], indexes: [], cascade }
  const isHelped = (one: WalkedReference) =>
    accept.includes(helperCode(one)) && canHelp(one) && slowLookUp(one, costs) !== undefined
  const helped = distinctColumns(cascade.walked.filter(isHelped))
  const build = helped.map((one, i) => buildStep(one, i + 1, facts.tag))
  const built = helped.map(({ from }, i) => ({ table: from.name, index: build[i]?.index.name ?? '' }))
  // They may come from the journal: no other index is dropped.
  const left = facts.left.filter(({ index }) => new RegExp(HELPER_NAME).test(index))
  const walked = cascade.walked.map((one) =>
    isHelped(one) ? { ...one, reference: { ...one.reference, indexed: true } } : one,
  )
  return { build, indexes: [...built, ...left], cascade: { ...cascade, walked } }
}

/** One for each list of columns. */
function distinctColumns(references: readonly WalkedReference[]): WalkedReference[] {
  const byColumns = new Map(references.map((one) => [JSON.stringify([one.from.oid, columnsOf(one)]), one]))
  return [...byColumns.values()]
}

function columnsOf({ reference }: WalkedReference): string[] {
  return reference.pairs.map(({ referring }) => referring)
}

function buildStep(one: WalkedReference, number: number, tag: string): IndexStep {
  const { reference, from, to } = one
  const columns = columnsOf(one)
  const name = companion(from.name.name, `_ebb_helper_${number}_${tag}`)
  const list = join(columns.map((column) => ident(column)))
  return {
    kind: 'index',
    key: `helper-index:${number}`,
    title: `build a temporary index of ${display(from.name)} on (${columns.join(', ')})`,
    because: `for each row deleted from ${display(to.name)} PostgreSQL looks for rows that reference it (${reference.name})`,
    locks: [{ table: from.name, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'all along' }],
    cost: `${indexingTime(from.estimatedRows)}, and ${sizeOf(one)}; until it is dropped each write to ${display(from.name)} maintains one more index; it waits for transactions that are older than it`,
    index: { schema: from.name.schema, name },
    statements: [sql`create index concurrently ${ident(name)} on ${quoted(from.name)} (${list})`.text],
  }
}

/** Drops one without blocking other sessions. */
export function dropHelper({ table, index }: HelperIndex): DropIndexStep {
  const name = { schema: table.schema, name: index }
  return {
    kind: 'drop index',
    key: `drop ${display(name)}`,
    title: `drop the temporary index ${display(name)}`,
    because: 'it costs every write, and nothing needs it any more',
    locks: [{ table, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'all along' }],
    cost: 'milliseconds, once transactions that are older have ended',
    statements: [sql`drop index concurrently if exists ${quoted(name)}`.text],
  }
}

/** The header of an entry with its pointer, and what pages leave free. */
const ENTRY_BYTES = 12
const FILL = 0.9

function sizeOf({ reference, from }: WalkedReference): string {
  const { keyBytes = 8 } = reference
  if (from.estimatedRows === null) return 'of an unknown size'
  return `about ${showBytes((from.estimatedRows * (ENTRY_BYTES + keyBytes)) / FILL)} of disk`
}
