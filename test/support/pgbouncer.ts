import { spawn } from 'node:child_process'
import { once as emitted } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { handOver, serverAccount } from '../../src/embedded/account.ts'
import { freePort } from '../../src/embedded/port.ts'
import type { Database } from './test-database.ts'
import { until } from './until.ts'

export type PoolMode = 'session' | 'transaction' | 'statement'

/**
 * Puts a PgBouncer between applications and the test's database, until the test ends.
 * Returns the usual role's URL by way of it. `program` comes from `needs('pgbouncer')`.
 */
export async function startPgBouncer(
  program: string,
  database: Database,
  poolMode: PoolMode,
  poolSize = 20,
): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'ebb-bouncer-'))
  const port = await freePort()
  await writeFile(join(home, 'pgbouncer.ini'), configuration(database, poolMode, poolSize, port, home))
  await writeFile(join(home, 'users.txt'), users(database))
  await handOver(home, serverAccount()) // PgBouncer refuses to run as root, as PostgreSQL does

  const child = spawn(program, [join(home, 'pgbouncer.ini')], { ...serverAccount(), cwd: '/', stdio: 'ignore' })
  onTestFinished(async () => {
    if (child.exitCode === null && child.kill('SIGKILL')) await emitted(child, 'exit')
    await rm(home, { recursive: true, force: true })
  })
  await until(() => listens(port), { what: 'PgBouncer to listen' })

  const url = new URL(database.url)
  url.hostname = '127.0.0.1'
  url.port = String(port)
  return url.href
}

function configuration(database: Database, poolMode: PoolMode, poolSize: number, port: number, home: string): string {
  const target = new URL(database.url)
  return `[databases]
${database.name} = host=${target.hostname} port=${target.port || 5432} dbname=${database.name}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${home}/users.txt
pool_mode = ${poolMode}
default_pool_size = ${poolSize}
`
}

// It lets in whom it finds in this list, and answers the server with the password.
function users(database: Database): string {
  const { username, password } = new URL(database.url)
  return `"${decodeURIComponent(username)}" "${decodeURIComponent(password)}"\n`
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await emitted(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
