import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import ts from 'typescript'
import { describe, expect, onTestFinished, test } from 'vitest'
import { findBinaries } from '../../src/embedded/binaries.ts'
import { freePort } from '../../src/embedded/port.ts'
import { startServer, type EmbeddedServer, type ServerOptions } from '../../src/embedded/server.ts'
import { ownBinaries } from '../support/server.ts'
import { until } from '../support/until.ts'

describe('startServer', () => {
  test('accepts connections when it resolves, and is gone after remove', async () => {
    const server = await started()
    const home = dirname(server.logFile)

    expect(await ask(server, 'show server_encoding')).toBe('UTF8')
    await server.remove()

    await expect(ask(server, 'select 1')).rejects.toThrow('ECONNREFUSED')
    expect(existsSync(home)).toBe(false)
  })

  test('keeps its data across a stop', async () => {
    const server = await started()
    await ask(server, 'create table kept as select 1 as one')

    await server.restart()

    expect(await ask(server, 'select one from kept')).toBe(1)
  })

  test('recovers from a crash', async () => {
    const server = await started()
    await ask(server, 'create table kept as select 1 as one')

    await server.crash()
    await expect(ask(server, 'select 1')).rejects.toThrow('ECONNREFUSED')
    await server.restart()

    expect(await ask(server, 'select one from kept')).toBe(1)
    expect(await readFile(server.logFile, 'utf8')).toContain('automatic recovery in progress')
  })

  test('applies the given settings, which `alter system` may still change', async () => {
    const server = await started({ settings: { max_connections: '17', application_name: "it's" } })
    expect(await ask(server, 'show max_connections')).toBe('17')
    expect(await ask(server, `select reset_val from pg_settings where name = 'application_name'`)).toBe("it's")

    await ask(server, 'alter system set max_connections = 18')
    await server.restart()

    expect(await ask(server, 'show max_connections')).toBe('18')
  })

  test('uses the given port', async () => {
    const port = await freePort()
    const server = await started({ port })

    expect(server.url).toBe(`postgres://postgres@127.0.0.1:${port}/postgres`)
    expect(await ask(server, 'show port')).toBe(String(port))
  })

  test('reports the server’s output if it does not start', async () => {
    const busy = await started()

    await expect(started({ port: busy.port })).rejects.toThrow('Address already in use')
    await expect(started({ settings: { shared_buffers: 'much' } })).rejects.toThrow('shared_buffers')
  })

  test('starts an existing data directory', async () => {
    const folder = await temporaryFolder()
    await chmod(folder, 0o755)
    const dataFolder = join(folder, 'data')
    const first = await started({ dataFolder })
    await ask(first, 'create table kept as select 1 as one')
    await first.stop()

    const second = await started({ dataFolder })

    expect(await ask(second, 'select one from kept')).toBe(1)
    await second.remove()
    expect(existsSync(dataFolder)).toBe(false)
  })
})

describe('exit of the process', () => {
  test('stops its server', async () => {
    const { port, logFile } = await startedElsewhere('')

    await until(() => refuses(port))
    expect(existsSync(dirname(logFile))).toBe(false)
  })

  test('keeps a server that should keep running', async () => {
    const { port, pid, logFile } = await startedElsewhere('keep: true')
    onTestFinished(async () => {
      process.kill(pid, 'SIGQUIT')
      await until(() => refuses(port))
      await rm(dirname(logFile), { recursive: true, force: true, maxRetries: 5 })
    })

    expect(await refuses(port)).toBe(false)
  })
})

describe('findBinaries', () => {
  test('reports missing binaries in a folder', async () => {
    await expect(findBinaries({ folder: tmpdir() })).rejects.toThrow(`no initdb or postgres in ${tmpdir()}`)
  })

  test('creates library links that npm does not create', async ({ skip }) => {
    const native = await copyOf(await packageFolder())
    const links = (await readdir(join(native, 'lib'), { withFileTypes: true })).filter((entry) =>
      entry.isSymbolicLink(),
    )
    if (links.length === 0) skip('the package of this platform has no links')
    for (const { name } of links) await unlink(join(native, 'lib', name))

    const { postgres } = await findBinaries({ folder: join(native, 'bin') })

    expect((await run(postgres, ['--version'])).stdout).toContain('PostgreSQL')
  })

  test('runs as root from a folder without access for other users', async ({ skip }) => {
    if (process.getuid?.() !== 0) skip('root only: others run the server as themselves')
    const native = await copyOf(await packageFolder())
    const binaries = await findBinaries({ folder: join(native, 'bin') })

    const server = await started({ binaries })

    expect(await ask(server, 'select 1 as one')).toBe(1)
    expect(server.binaries.folder).not.toBe(binaries.folder)
  })
})

const run = promisify(execFile)

async function started(options: ServerOptions = {}): Promise<EmbeddedServer> {
  const server = await startServer({ binaries: await ownBinaries(), ...options })
  onTestFinished(() => server.remove())
  return server
}

async function ask(server: EmbeddedServer, question: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: server.url })
  await client.connect()
  try {
    const { rows } = await client.query<Record<string, unknown>>(question)
    return Object.values(rows[0] ?? {})[0]
  } finally {
    await client.end()
  }
}

interface Elsewhere {
  readonly port: number
  readonly pid: number
  readonly logFile: string
}

/** A server started by a process of its own, which has ended by now. */
async function startedElsewhere(options: string): Promise<Elsewhere> {
  const program = `
    import { startServer } from '${await compiledServerModule()}'
    const binaries = ${JSON.stringify(await ownBinaries())}
    const { port, pid, logFile } = await startServer({ binaries, ${options} })
    console.log(JSON.stringify({ port, pid, logFile }))`
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program])
  return JSON.parse(stdout) as Elsewhere
}

// Node 20 runs no TypeScript, and what is tested is the source rather than the last build.
async function compiledServerModule(): Promise<string> {
  const folder = await temporaryFolder()
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  for (const file of ['errors', 'embedded/account', 'embedded/binaries', 'embedded/port', 'embedded/server']) {
    const source = await readFile(new URL(`../../src/${file}.ts`, import.meta.url), 'utf8')
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: {
        module: ts.ModuleKind.ESNext,
        target: ts.ScriptTarget.ES2023,
        rewriteRelativeImportExtensions: true,
      },
    })
    await mkdir(join(folder, dirname(file)), { recursive: true })
    await writeFile(join(folder, `${file}.js`), outputText)
  }
  return pathToFileURL(join(folder, 'embedded/server.js')).href
}

async function refuses(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return false
  } catch {
    return true
  } finally {
    socket.destroy()
  }
}

/** The installation in the npm package, whichever PostgreSQL the tests otherwise use. */
async function packageFolder(): Promise<string> {
  return join((await findBinaries()).folder, '..')
}

async function copyOf(native: string): Promise<string> {
  const copy = join(await temporaryFolder(), 'native')
  await cp(native, copy, { recursive: true, verbatimSymlinks: true })
  return copy
}

/** Closed to others (0700), as `mkdtemp` makes them. */
async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ebb-test-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}
