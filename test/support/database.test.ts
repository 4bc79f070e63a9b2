import { describe, expect, inject } from 'vitest'
import { quoted } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { awfulName } from './awful-names.ts'
import { Database, test } from './database.ts'

const seen = new Set<string>()
const rolesBefore: string[] = []

describe('database', () => {
  test.for([1, 2])('is empty and a different one each time (%i)', async (_, { database }) => {
    const app = await database.session('app')
    await app.query(`create table leftover ()`)

    expect(seen).not.toContain(database.name)
    seen.add(database.name)
  })

  test('lets its usual role create tables without privileges beyond', async ({ database }) => {
    const app = await database.session('app')
    const table = database.table('events')
    await app.query(sql`create table ${quoted(table)} (id int)`)

    const { rows } = await app.query<{ name: string; able: boolean }>(
      `select current_setting('application_name') as name, rolsuper or rolcreaterole as able
       from pg_roles where rolname = current_user`,
    )
    expect(rows).toEqual([{ name: 'app', able: process.env.EBB_TEST_ROLE === 'superuser' }])
  })

  test('creates roles', async ({ database }) => {
    const reader = await database.role('reader')
    rolesBefore.push(reader)
    const session = await database.session('someone', { role: reader })

    expect((await session.query(`select current_user as me`)).rows).toEqual([{ me: reader }])
    await expect(session.query(`create schema mine`)).rejects.toThrow('permission denied')
  })

  test('drops roles at the end', async ({ database }) => {
    const app = await database.session('app')
    expect(rolesBefore).toHaveLength(1)
    expect((await app.query(`select from pg_roles where rolname = any ($1)`, [rolesBefore])).rowCount).toBe(0)
  })

  test('survives a terminated session, and keeps others of the same name', async ({ database }) => {
    const app = await database.session('app')
    const elsewhere = await Database.create(inject('ground'))
    const namesake = await elsewhere.session('app')
    await database.terminate('app')

    await expect(app.query('select')).rejects.toThrow()
    await expect(namesake.query('select')).resolves.toBeDefined()
    await elsewhere.close()
    await elsewhere.drop()
  })

  test('lets the administrator run several statements', async ({ database }) => {
    await database.admin(`create table a (); create table b ()`)

    expect((await database.admin(`select 1 as one from pg_class where relname in ('a', 'b')`)).rowCount).toBe(2)
  })
})

describe('awful names', () => {
  test.for(['e', 'events', 'a_name_that_is_itself_rather_long_1', 'Ünïcödé'])('fill 63 bytes: %s', (name) => {
    expect(Buffer.byteLength(awfulName(name).name)).toBe(63)
  })

  test('differ even with equal beginnings', () => {
    const [one, other] = ['a_name_that_is_itself_rather_long_1', 'a_name_that_is_itself_rather_long_2'].map(awfulName)

    expect(one).not.toEqual(other)
    expect(one).toEqual(awfulName('a_name_that_is_itself_rather_long_1'))
  })
})
