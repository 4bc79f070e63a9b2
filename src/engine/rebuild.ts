import { readTable } from '../catalog/read-table.ts'
import type { ServerModel } from '../catalog/server-model.ts'
import { readPrivileges, readTakenNames } from '../catalog/situation.ts'
import type { TableModel } from '../catalog/table-model.ts'
import { inSnapshot, readAll, type Session, type Target } from '../db/session.ts'
import { UsageError } from '../errors.ts'
import { momentLiteral, planRebuild, type RebuildPlan, type RebuildRequest } from '../plan/rebuild.ts'
import { display, quoted, type TableName } from '../sql/names.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { parsePredicate, pointAt, type Predicate } from '../sql/predicate.ts'
import { raw, sql } from '../sql/sql.ts'
import { newTag, planCopy, readSearchPath, runCopy, type CopyCommand, type CopyResult } from './copy-run.ts'
import type { EngineOptions } from './partition.ts'

/** What would be done. Reads in READ ONLY transactions and changes nothing. */
export function planRebuildOf(
  target: Target,
  written: WrittenName,
  request: RebuildRequest,
  options: EngineOptions,
): Promise<RebuildPlan> {
  return planCopy(target, written, command(request, options), options)
}

/**
 * Rebuilds a table around the rows worth keeping, or goes on with a rebuild
 * that was interrupted.
 *
 * @throws {ObjectionsError} when there are reasons not to start
 */
export function rebuild(
  target: Target,
  written: WrittenName,
  request: RebuildRequest,
  options: EngineOptions,
): Promise<CopyResult> {
  return runCopy(target, written, command(request, options), options)
}

function command(request: RebuildRequest, options: EngineOptions): CopyCommand {
  return {
    name: 'rebuild',
    request,
    readPlan: (session, server, name) => readPlan(session, server, name, request, options),
  }
}

async function readPlan(
  session: Session,
  server: ServerModel,
  name: TableName,
  request: RebuildRequest,
  { journalSchema }: EngineOptions,
): Promise<RebuildPlan> {
  const predicate = request.keep === null ? null : await parsePredicate(request.keep, momentLiteral(server.now))
  return inSnapshot(session, async () => {
    const table = await readTable(session, name, server.version)
    if (table === undefined)
      throw new UsageError(`${display(name)} has just been dropped or renamed`, 'Check what happened to it.')
    const searchPath = await readSearchPath(session)
    return planRebuild(
      {
        server,
        journalSchema,
        table,
        privileges: await readPrivileges(session, table),
        predicate,
        volatile: await readVolatile(session, predicate),
        keptRows: await estimateKept(session, table, predicate, searchPath),
        searchPath,
        taken: await readTakenNames(session, name.schema),
        tag: newTag(),
      },
      request,
    )
  })
}

async function readVolatile(session: Session, predicate: Predicate | null): Promise<string[]> {
  const names = (predicate?.functions ?? []).map((name) => name.at(-1) ?? '')
  const rows = await readAll<{ name: string }>(
    session,
    sql`select distinct proname as name from pg_proc where proname = any (${names}::text[]) and provolatile = 'v'`,
  )
  return rows.map(({ name }) => name)
}

/** Has the server read the condition, which finds unknown columns and wrong types, and estimate its rows. */
async function estimateKept(
  session: Session,
  table: TableModel,
  predicate: Predicate | null,
  searchPath: string,
): Promise<number> {
  if (predicate === null || table.kind !== 'table') return table.estimatedRows ?? 0
  const before = sql`explain (format json) select from ${quoted(table.name)} s where (`
  await session.query('savepoint estimate')
  try {
    await session.query(`set local search_path to ${searchPath === '' ? "''" : searchPath}`)
    const explain = sql`${before}${raw(predicate.text)}\n)`
    const { rows } = await session.query<{ 'QUERY PLAN': readonly { Plan: { 'Plan Rows': number } }[] }>(explain.text)
    return rows[0]?.['QUERY PLAN'][0]?.Plan['Plan Rows'] ?? 0
  } catch (error) {
    throw new UsageError(
      `the condition does not fit ${display(table.name)}: ${reasonAndPlace(error, predicate, [...before.text].length)}`,
      'Use columns and types of the table.',
      error,
    )
  } finally {
    await session.query('rollback to savepoint estimate')
  }
}

function reasonAndPlace(error: unknown, { text }: Predicate, before: number): string {
  const reason = error instanceof Error ? error.message : String(error)
  const { position } = error as { position?: string }
  return position === undefined ? reason : reason + pointAt(text, Number(position) - 1 - before)
}
