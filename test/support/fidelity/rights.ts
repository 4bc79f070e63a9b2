import { once } from '../template.ts'
import type { Database } from '../database.ts'
import type { Place } from './features.ts'

// What roles may do, found out by doing it.

/** For each role and statement: the number of rows, or the SQLSTATE of the refusal. */
export async function rightsUsed(database: Database, place: Place, roles: readonly string[]): Promise<string[]> {
  const statements = attempts(place)
  return once(database.adminUrl, async (client) => {
    const found: string[] = []
    const drawn = await client.query<{ name: string }>(
      `select oid::regclass::text as name from pg_class where relkind = 'S' and relnamespace = 'public'::regnamespace order by 1`,
    )
    const sequences = drawn.rows.map(({ name }) => `select nextval('${name.replaceAll("'", "''")}')`)
    const views = await client.query<{ name: string }>(
      `select oid::regclass::text as name from pg_class where relkind in ('v', 'm') and relnamespace = 'public'::regnamespace order by 1`,
    )
    const looks = views.rows.map(({ name }) => `select from ${name}`)
    for (const role of roles)
      for (const statement of [...statements, ...sequences, ...looks]) {
        await client.query('begin')
        await client.query(`set local role ${role}`)
        const outcome = await client.query(statement).then(
          ({ rowCount }) => `${rowCount} rows`,
          (error: Error & { code?: string }) => `${error.code} ${error.code === '42501' ? error.message : ''}`,
        )
        await client.query('rollback')
        found.push(`${role}: ${statement}: ${outcome}`)
      }
    return found
  })
}

function attempts({ table }: Place): string[] {
  return [
    `select from ${table}`,
    ...['id', 'a', 'b', 'd', 'j'].map((column) => `select ${column} from ${table}`),
    ...['a', 'b'].map((column) => `update ${table} set ${column} = ${column} where true`),
    `update ${table} set b = 'x' where a = 2`,
    `insert into ${table} default values`,
    `insert into ${table} (n, a) values (900, 50)`,
    `insert into ${table} (n, a, b, id) overriding system value values (901, 6, 'b', '901')`,
    `delete from ${table} where a = 5`,
    `delete from ${table}`,
    `truncate ${table}`,
    `lock table ${table} in share mode`,
    `create table mine (id int references ${table} (n))`,
    `create trigger mine after insert on ${table} execute function suppress_redundant_updates_trigger()`,
    `comment on table ${table} is 'mine'`,
    `select count(*) from ${table} where a < 12`,
  ]
}
