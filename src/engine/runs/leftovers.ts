import { readServer } from '../../catalog/server-model.ts'
import { backendPid } from '../../db/pooler.ts'
import { readAll, readOne } from '../../db/query.ts'
import { withSession, type Session, type Target } from '../../db/session.ts'
import { inSnapshot, inTransaction } from '../../db/transaction.ts'
import { at } from '../../journal/journal.ts'
import { planLeftovers, type Leftover } from '../../plan/copy/leftovers.ts'
import type { DropIndexStep, OnlineStep, Plan, ShortLockStep } from '../../plan/language/step.ts'
import { raw, sql, type Sql } from '../../sql/sql.ts'
import { readLeftHelpers } from './helper-indexes.ts'
import { readPatiently } from '../locks/patiently.ts'
import { LOCK_LIMITS, underShortLocks } from '../locks/short-locks.ts'
import type { EngineOptions } from '../options.ts'

// What the journal knows nothing of, because its tables were emptied, dropped, or restored without their rows. Change
// captures go on logging every write, for nobody: they are found by what they are, log, function and sequence of these
// names in the schema of the journal, and the triggers that call that function. A CHECK that was to prove the bound of a
// conversion goes on rejecting later rows, and an index that was to help a purge costs every write: they are found by their names.

/** Those of no run that the journal knows; it is not asked for more than that, for it may be incomplete. */
export async function readLeftovers(session: Session, schema: string): Promise<Leftover[]> {
  const there = await hasRuns(session, schema)
  return [
    ...(await readCaptures(session, schema, there)),
    ...(await readBounds(session, schema, there)),
    ...(await readHelpers(session, schema, there)),
  ]
}

function readCaptures(session: Session, schema: string, there: boolean): Promise<Leftover[]> {
  return readAll<Leftover>(
    session,
    sql`
    select 'change capture' as kind, o.name, t.table, coalesce(pg_relation_size(t.log), 0)::float8 as "logBytes"
    from (select distinct substring(p.name from '^(ebb_[0-9a-f]{8}_(?:forward|back))_(?:capture|log|gap)$') as name from (
        select relname as name, relnamespace as place from pg_class where relkind in ('r', 'S')
        union all select proname, pronamespace from pg_proc where prorettype = 'trigger'::regtype) p
      join pg_namespace n on n.oid = p.place where n.nspname = ${schema} and has_schema_privilege(n.oid, 'usage')) o
    cross join lateral (select to_regclass(format('%I.%I', ${schema}::text, o.name || '_log')) as log,
      (select json_build_object('schema', cn.nspname, 'name', c.relname)
        from pg_trigger g join pg_proc f on f.oid = g.tgfoid join pg_namespace fn on fn.oid = f.pronamespace
          join pg_class c on c.oid = g.tgrelid join pg_namespace cn on cn.oid = c.relnamespace
        where f.proname = o.name || '_capture' and fn.nspname = ${schema} and g.tgparentid = 0 limit 1) as table) t
    where o.name is not null and not ${knownCapture(schema, there)} order by o.name`,
  )
}

async function hasRuns(session: Session, schema: string): Promise<boolean> {
  const { there } = await readOne<{ there: boolean }>(
    session,
    sql`select count(*) = 2 as there from pg_tables where schemaname = ${schema} and tablename in ('run', 'capture')`,
  )
  return there
}

/** Of a run that is unfinished or can be rolled back: its log may not be recorded yet. */
function knownCapture(schema: string, there: boolean): Sql {
  if (!there) return raw('false')
  const logOf = (side: string) => raw(`r.plan #>> '{rebuild,${side},capture,log,name}'`)
  return sql`(exists (select from ${at(schema, 'capture')} s where s.log_name = o.name || '_log') or exists (
    select from ${at(schema, 'run')} r where r.status in ('running', 'done') and o.name || '_log' in (${logOf('forward')}, ${logOf('back')})))`
}

async function readHelpers(session: Session, schema: string, there: boolean): Promise<Leftover[]> {
  const left = await readLeftHelpers(session, schema, there)
  return left.map(({ table, index }) => ({ kind: 'helper index', name: index, table, logBytes: 0 }))
}

/** Named as `ebb partition` names them: after the table, which may have been renamed since, and numbered where that was taken. */
function readBounds(session: Session, schema: string, there: boolean): Promise<Leftover[]> {
  const known = there
    ? sql`exists (select from ${at(schema, 'run')} r where r.status = 'running' and r.plan #>> '{conversion,guard}' = k.conname)`
    : raw('false')
  return readAll<Leftover>(
    session,
    sql`
    select 'bound' as kind, k.conname as name, json_build_object('schema', n.nspname, 'name', c.relname) as table, 0 as "logBytes"
    from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
    where k.contype = 'c' and k.conname ~ '_ebb_bound(_[0-9]+)?$' and c.relkind = 'r' and not c.relispartition and not ${known}
    order by n.nspname, c.relname, k.conname`,
  )
}

/** Plans their removal. */
export function planLeftoversOf(target: Target, options: EngineOptions): Promise<Plan> {
  const { journalSchema } = options
  return readPatiently(target, 'plan abandon', options, (session) =>
    inSnapshot(session, async () => planLeftovers(journalSchema, await readLeftovers(session, journalSchema))),
  )
}

/** Removes them, one after the other; returns what was done. The journal is not needed, and may be unusable. */
export async function removeLeftovers(target: Target, options: EngineOptions): Promise<Plan> {
  const plan = await planLeftoversOf(target, options)
  await withSession(target, 'abandon', (session) =>
    withSession(target, 'abandon', async (control) => {
      for (const step of plan.steps) await remove(step as Removal, session, control, options)
    }),
  )
  return plan
}

type Removal = ShortLockStep | OnlineStep | DropIndexStep

async function remove(
  step: Removal,
  session: Session,
  control: Session,
  { journalSchema, lockLimits = LOCK_LIMITS, observer, signal }: EngineOptions,
): Promise<void> {
  const work = async () => void (await session.query(step.statements.join(';\n')))
  if (step.kind === 'online') return inTransaction(session, {}, work)
  if (step.kind === 'drop index') return work()
  const { deadlockTimeoutMs } = await readServer(control, journalSchema)
  const sessions = { session, pid: await backendPid(session), control, deadlockTimeoutMs }
  const table = step.locks[0]?.table ?? { schema: journalSchema, name: step.key }
  await underShortLocks(sessions, step, lockLimits, (event) => observer({ table, runId: null, ...event }), signal, work)
}
