import { EbbError, exitCodeOf } from 'pg-ebb'
import pg from 'pg'
import { Umzug } from 'umzug'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })

// Where your migrations are recorded; a table of names is enough.
await pool.query('create table if not exists migration (name text primary key)')
const storage = {
  executed: async () => (await pool.query('select name from migration order by name')).rows.map(({ name }) => name),
  logMigration: ({ name }) => pool.query('insert into migration (name) values ($1)', [name]),
  unlogMigration: ({ name }) => pool.query('delete from migration where name = $1', [name]),
}

const migrations = new Umzug({
  migrations: {
    glob: ['migrations/*.js', { cwd: import.meta.dirname }],
    resolve: ({ name, path, context }) => ({
      name,
      up: async () => (await import(path)).up({ context }),
      down: async () => (await import(path)).down({ context }),
    }),
  },
  context: pool,
  storage,
  logger: undefined,
})

try {
  const done = process.argv[2] === 'down' ? await migrations.down() : await migrations.up()
  console.log(done.length === 0 ? 'nothing to do' : `done: ${done.map(({ name }) => name).join(', ')}`)
} catch (error) {
  const known = error instanceof EbbError ? error : error.cause
  if (!(known instanceof EbbError)) throw error
  console.error(`${known.message}\n${known.advice.state}\n${known.advice.next}`)
  process.exitCode = exitCodeOf(known.kind)
} finally {
  await pool.end()
}
