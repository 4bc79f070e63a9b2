import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test as plainTest } from 'vitest'
import { display } from '../../src/sql/names.ts'
import { test } from '../support/database.ts'
import { until } from '../support/until.ts'
import { ebb, eventsTable } from './support.ts'

// --metrics-port: what Prometheus sees while a command runs, and what becomes of it if the port is taken.

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

test('serves the metrics so far, while it runs and no longer', async ({ database, onTestFinished }) => {
  const table = await eventsTable(database)
  const folder = await mkdtemp(join(tmpdir(), 'ebb-port-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const pause = join(folder, 'pause')
  await writeFile(pause, '')
  const port = await freePort()
  const get = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init)
  const words = ['purge', display(table), '--where', 'id <= 10', '--no-archive', '--url', database.url]
  const running = ebb([...words, '--metrics-port', String(port), '--pause-file', pause, '--execute'])
  let text = ''
  await until(async () => {
    text = await get('/metrics').then(
      (response) => response.text(),
      () => '',
    )
    return text.includes('reason="pause file"')
  })
  const name = display(table).replaceAll('\\', '\\\\').replaceAll('"', '\\"')
  const { host } = new URL(database.url)
  const common = `database="${host}/${database.name}",command="purge"`
  expect(text).toContain(`ebb_run_waiting{${common},table="${name}"} 1\n`)
  expect(text).toContain(`ebb_run_steps{${common},table="${name}"} `)
  expect(text).toMatch(/^ebb_run_paused_seconds\{.*,reason="pause file"\} [\d.]+$/m)
  expect(text).toMatch(/^ebb_run_start_timestamp_seconds\{.*\} \d+$/m)
  expect((await get('/metrics?x')).headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  expect((await get('/')).status).toBe(404)
  expect((await get('/metrics', { method: 'POST' })).status).toBe(405)

  // Another one, beside it: the port is taken, and the work is done all the same.
  const purge = ['purge', display(table), '--where', 'id > 1990', '--no-archive', '--url', database.url, '--wait', '60']
  const beside = ebb([...purge, '--metrics-port', `127.0.0.1:${port}`, '--execute'])
  await rm(pause)
  const [first, second] = await Promise.all([running, beside])
  expect(first.code, first.err).toBe(0)
  expect(second.code, second.err).toBe(0)
  expect(second.err).toMatch(new RegExp(`^warning: no metrics are served on 127.0.0.1:${port}: .*EADDRINUSE`, 'm'))
  await expect(get('/metrics')).rejects.toThrow()
})

plainTest('a port that cannot be one is refused, and a host that is not this machine is a warning', async () => {
  const port = await freePort()
  const words = ['rotate', 'x', '--url', 'postgres://127.0.0.1:1/x', '--metrics-port', String(port)]
  for (const wrong of ['0', '65536', 'x', '1:2:3', '']) {
    const { code, err } = await ebb([...words.slice(0, -1), wrong])
    expect({ code, said: err.includes('--metrics-port: ') }).toEqual({ code: 2, said: true })
  }
  const { code, err } = await ebb([...words.slice(0, -1), `192.0.2.1:${port}`, '--execute'])
  expect(code).toBe(75)
  expect(err).toContain(`warning: no metrics are served on 192.0.2.1:${port}: `)
})
