import { explained, type PlanNode } from '../explain.ts'
import { takingBack } from '../../db/savepoint.ts'
import type { Session } from '../../db/session.ts'
import { putSession } from '../../db/settings.ts'
import { EbbError } from '../../errors.ts'
import { codeOf, SQLSTATE } from '../../db/sqlstate.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import type { ConditionSettings } from '../../sql/condition-settings.ts'
import { raw, sql, type Sql } from '../../sql/sql.ts'

/** A table that the planner would look into for a condition. */
export interface PlannedLeaf {
  readonly name: TableName
  /** Rows that match, as it believes. */
  readonly matching: number
  /** The index by which it would reach them, if by one. */
  readonly index: string | null
}

/** Reads of one table, by itself or with what lies below. */
const READS: ReadonlySet<string> = new Set(
  'Seq Scan,Index Scan,Index Only Scan,Bitmap Heap Scan,Tid Scan,Tid Range Scan,Foreign Scan'.split(','),
)
/** Puts together what others have read, or finds by itself that there is nothing. */
const COMBINES: ReadonlySet<string> = new Set(['Append', 'Merge Append', 'Result', 'ModifyTable'])
/** So do these nodes of TimescaleDB: an Append without the chunks that it has excluded when execution begins, as EXPLAIN begins it, too. */
const APPENDS: readonly (string | undefined)[] = ['ChunkAppend', 'ConstraintAwareAppend']
/** Values that a condition needs, and no rows of the table. */
const ASIDE: readonly (string | undefined)[] = ['InitPlan', 'SubPlan']

/** What a plan says of where the rows are. */
export interface Reading {
  readonly leaves: readonly PlannedLeaf[]
  /** Nodes of which that cannot be told: `Custom Scan (DecompressChunk)`. Never is one of them taken for nothing. */
  readonly unknown: readonly string[]
}

/** Which tables a plan reads. Pure. */
export function readingOf(node: PlanNode): Reading {
  const { 'Node Type': type, Schema: schema, 'Relation Name': name } = node
  const below = (node.Plans ?? []).filter((one) => !ASIDE.includes(one['Parent Relationship']))
  if (READS.has(type) && schema !== undefined && name !== undefined) {
    const index = node['Index Name'] ?? (below.length === 1 ? below[0]?.['Index Name'] : undefined)
    return { leaves: [{ name: { schema, name }, matching: node['Plan Rows'], index: index ?? null }], unknown: [] }
  }
  const readings = below.map(readingOf)
  const leaves = readings.flatMap((one) => one.leaves)
  const unknown = readings.flatMap((one) => one.unknown)
  return combines(node) ? { leaves, unknown } : { leaves, unknown: [describeNode(node), ...unknown] }
}

function combines({ 'Node Type': type, 'Custom Plan Provider': provider }: PlanNode): boolean {
  return COMBINES.has(type) || (type === 'Custom Scan' && APPENDS.includes(provider))
}

function describeNode({ 'Node Type': type, 'Custom Plan Provider': provider }: PlanNode): string {
  return provider === undefined ? type : `${type} (${provider})`
}

const MAY_NOT_ASK: ReadonlySet<string | undefined> = new Set([
  SQLSTATE.insufficientPrivilege,
  SQLSTATE.objectNotInPrerequisiteState,
  SQLSTATE.invalidColumnReference,
])

/**
 * Plan nodes of an extension, in the plans of reading and deleting the rows of a
 * table: what they read is unknown. In the open transaction; nothing is executed. None where the role may not ask, or a publication has PostgreSQL refuse deletes.
 */
export async function readUnknownNodes(session: Session, table: TableName): Promise<string[]> {
  // Of no rows, so that no foreign server is queried; the nodes of extensions are in the plan all the same.
  const none = sql`from ${quoted(table)} where false`
  const queries = [sql`select ${none}`, sql`delete ${none}`]
  // Both together, for most roles may ask; else each by itself.
  const together = await plansIfAllowed(session, queries)
  const nodes = together ?? (await eachIfAllowed(session, queries))
  return [...new Set(nodes.flatMap((node) => readingOf(node).unknown))]
}

async function eachIfAllowed(session: Session, queries: readonly Sql[]): Promise<PlanNode[]> {
  const found: PlanNode[] = []
  for (const query of queries) found.push(...((await plansIfAllowed(session, [query])) ?? []))
  return found
}

async function plansIfAllowed(session: Session, queries: readonly Sql[]): Promise<PlanNode[] | null> {
  try {
    return await plans(session, queries, {})
  } catch (error) {
    if (!MAY_NOT_ASK.has(codeOf(error))) throw error
    return null
  }
}

/** The same for the rows that match a condition. */
export async function readUnknownFor(
  session: Session,
  table: TableName,
  condition: string,
  settings: ConditionSettings,
): Promise<readonly string[]> {
  return readingOf(await readPlan(session, matching(table, condition), settings)).unknown
}

function matching(table: TableName, condition: string): Sql {
  return sql`select from ${quoted(table)} t where (${raw(condition)}\n)`
}

/**
 * The leaves of a table that the planner does not rule out for a condition, in the transaction that is open.
 *
 * @throws {EbbError} when an extension decides where the rows are
 */
export async function readPlanned(
  session: Session,
  table: TableName,
  condition: string,
  settings: ConditionSettings,
): Promise<PlannedLeaf[]> {
  const { leaves, unknown } = readingOf(await readPlan(session, matching(table, condition), settings))
  if (unknown.length > 0) throw unknownPlan(table, unknown)
  return [...leaves]
}

function unknownPlan(table: TableName, nodes: readonly string[]): EbbError {
  return new EbbError(
    `PostgreSQL reaches the rows of ${display(table)} by ${nodes.join(', ')}, which Ebb does not know, so it cannot tell in which tables they are`,
    {
      state: 'Nothing has been changed that is not in the journal.',
      next: 'Leave their retention to the extension that stores them (TimescaleDB: drop_chunks), or delete them with SQL.',
    },
    'objections',
  )
}

/** What the planner would do under the settings that a condition is read under; nothing is read. */
export async function readPlan(session: Session, query: Sql, settings: ConditionSettings): Promise<PlanNode> {
  const [plan] = await plans(session, [query], settings)
  if (plan === undefined) throw new Error('explain has returned nothing')
  return plan
}

function plans(session: Session, queries: readonly Sql[], settings: ConditionSettings): Promise<PlanNode[]> {
  const ask = async () => {
    await putSession(session, settings)
    const found: PlanNode[] = []
    for (const query of queries) found.push(...(await explained(session, query)).map(({ Plan: plan }) => plan))
    return found
  }
  return takingBack(session, ask, { max_parallel_workers_per_gather: 0 })
}
