import { expect } from 'vitest'
import { SQLSTATE } from '../../src/db/sqlstate.ts'
import { cancelUntil } from '../../src/engine/table-context.ts'
import { test } from '../support/database.ts'

test('a statement is cancelled also where an extension has a pg_cancel_backend of its own, as Citus has', async ({
  database,
}) => {
  await database.admin(`
    do $$ begin
      perform set_config('allow_system_table_mods', 'on', true);
      create function pg_catalog.pg_cancel_backend(global_pid bigint) returns boolean language sql return false;
    end $$`)
  const [working, control] = [await database.session('working'), await database.session('control')]
  const { rows } = await working.query<{ pid: number }>('select pg_backend_pid() as pid')
  const ended = new AbortController()
  const sleeping = working.query('select pg_sleep(600)').finally(() => ended.abort())
  await Promise.all([
    expect(sleeping).rejects.toMatchObject({ code: SQLSTATE.queryCanceled }),
    cancelUntil(ended.signal, control, rows[0]!.pid),
  ])
})
