import type { ClientBase } from 'pg'
import { readAll } from '../../db/query.ts'
import type { TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { readTriggerFunction, type TriggerFunction } from '../../sql/trigger-function.ts'

/** A trigger that fires for single rows, and what its function does. */
export interface TriggerCode extends TriggerFunction {
  readonly trigger: string
  /** With its arguments, in PostgreSQL's words. */
  readonly function: string
  /** Before a row is inserted or updated, so that it can change it. */
  readonly beforeWrite: boolean
}

interface Row extends Omit<TriggerCode, keyof TriggerFunction> {
  readonly definition: string
  readonly language: string
}

/** Those of a table that are not switched off. */
export async function readTriggerCode(client: ClientBase, { schema, name }: TableName): Promise<TriggerCode[]> {
  const rows = await readAll<Row>(
    client,
    sql`
    select t.tgname::text as trigger, p.oid::regprocedure::text as function, t.tgtype & 2 > 0 and t.tgtype & 20 > 0 as "beforeWrite",
      pg_get_functiondef(p.oid) as definition, l.lanname::text as language
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_trigger t on t.tgrelid = c.oid
      join pg_proc p on p.oid = t.tgfoid join pg_language l on l.oid = p.prolang
    where n.nspname = ${schema} and c.relname = ${name} and not t.tgisinternal and t.tgenabled <> 'D' and t.tgtype & 1 > 0 order by t.tgname`,
  )
  return Promise.all(
    rows.map(async ({ definition, language, ...row }) => ({
      ...row,
      ...(await readTriggerFunction(definition, language)),
    })),
  )
}
