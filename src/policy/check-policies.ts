import { readAll, inSnapshot, type Session, type Target } from '../db/session.ts'
import { readPatiently } from '../engine/locks/patiently.ts'
import type { EngineOptions } from '../engine/options.ts'
import { retirable } from '../engine/runs/retired.ts'
import { status } from '../engine/runs/status.ts'
import { journalExists } from '../journal/journal.ts'
import { policiesInForce } from '../journal/policies.ts'
import { findTable } from '../catalog/table/read-table.ts'
import { readClock } from '../db/clock.ts'
import type { TableName } from '../sql/names.ts'
import { sql } from '../sql/sql.ts'
import { findingsOf, type Checked, type Finding } from './findings.ts'
import { findPolicies, planPolicies } from './plan-policies.ts'
import type { Policies } from './policy.ts'

/** What is due and what is wrong, the worst first. Reads only; without a config, what the journal alone tells. */
export async function checkPolicies(
  target: Target,
  config: Policies | null,
  only: EngineOptionsOnly,
  options: EngineOptions,
): Promise<Finding[]> {
  const report = await status(target, options)
  const retired = await retirable(target, options)
  const found = config === null ? null : await findPolicies(target, config, only, options)
  const plans = found === null ? [] : await planPolicies(target, found, options, 'rotations')
  const tables = [...report.sets.map(({ table }) => table), ...plans.map(({ table }) => table)]
  const more = await readPatiently(target, 'check', options, (session) =>
    inSnapshot(session, async () => ({
      now: new Date(Number((await readClock(session)) / 1000n)),
      known: await readKnown(session, options.journalSchema),
      defaults: await readDefaults(session, tables),
    })),
  )
  const gone = (found?.gone ?? []).map(({ policy }) => policy.name)
  return findingsOf({ status: report, retired, plans, gone, ...more, hasConfig: config !== null && only.length === 0 })
}

type EngineOptionsOnly = Parameters<typeof findPolicies>[2]

/** Tables with a policy in force that are still there. */
async function readKnown(session: Session, schema: string): Promise<TableName[]> {
  if (!(await journalExists(session, schema, 'look'))) return []
  const known: TableName[] = []
  for (const { table } of await policiesInForce(session, schema)) {
    if ((await findTable(session, table)) !== undefined) known.push(table)
  }
  return known
}

/** DEFAULT partitions with at least one block: they hold rows, or did until a vacuum. */
async function readDefaults(session: Session, tables: readonly TableName[]): Promise<Checked['defaults']> {
  const [schemas, names] = [tables.map(({ schema }) => schema), tables.map(({ name }) => name)]
  return readAll(
    session,
    sql`
    select distinct on (p.partdefid) json_build_object('schema', n.nspname, 'name', c.relname) as table,
      json_build_object('schema', dn.nspname, 'name', d.relname) as partition, pg_relation_size(d.oid)::float8 as bytes
    from unnest(${schemas}::text[], ${names}::text[]) as wanted (schema, name)
    join pg_namespace n on n.nspname = wanted.schema join pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
    join pg_partitioned_table p on p.partrelid = c.oid join pg_class d on d.oid = p.partdefid
    join pg_namespace dn on dn.oid = d.relnamespace where pg_relation_size(d.oid) > 0`,
  )
}
