import { expect } from 'vitest'
import { test } from './database.ts'
import { startStandby } from './standby.ts'
import { at, once } from './template.ts'
import { until } from './until.ts'

test('a standby follows its primary and refuses writes', async ({ ownServer }) => {
  const { server, database } = await ownServer()
  const app = await database.session('app')
  await app.query('create table followed as select 1 as one')

  const standby = await startStandby(server)
  await app.query('insert into followed values (2)')

  await once(at(standby.url, { database: database.name }), async (reader) => {
    await until(async () => (await reader.query('select from followed')).rowCount === 2)
    await expect(reader.query('delete from followed')).rejects.toThrow('read-only transaction')
  })
})
