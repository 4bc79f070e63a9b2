import { expect } from 'vitest'
import { schemaDump } from './catalog-diff.ts'
import { test } from './database.ts'
import { isNewEnough } from './programs.ts'

test('two dumps differ only if the schemas do', async ({ database, needs, skip }) => {
  const program = needs('pg_dump')
  if (!isNewEnough(program, database.version)) skip('the pg_dump here is older than the server')
  const app = await database.session('app')
  await app.query('create table kept (id int)')

  const before = await schemaDump(program, database)
  expect(await schemaDump(program, database)).toBe(before)

  await app.query('comment on table kept is $$changed$$')
  expect(await schemaDump(program, database)).not.toBe(before)
})
