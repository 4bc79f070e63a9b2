// A real Prometheus scrapes a purge at work, and promtool has nothing to say about what it gets, nor about the file that is left.
// Takes `prometheus` and `promtool` from the path (Debian's package prometheus), and what `npm run build` has made.
//
//   npm run test:prometheus

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { ebb, query, withServer } from './packaged.js'

process.argv[3] ??= fileURLToPath(new URL('../bin/ebb.js', import.meta.url))
const LONGEST_WAIT_MS = 120_000

const folder = await mkdtemp(join(tmpdir(), 'ebb-prometheus-'))
try {
  await withServer(async (create) => scraped(await create('scraped')))
  console.log('promtool has nothing to say, and Prometheus has scraped a run at work')
} finally {
  await rm(folder, { recursive: true })
}

async function scraped(url) {
  await query(url, 'create table "the \\ ""events""" as select n as id from generate_series(1, 1000) n')
  const [port, own] = [await freePort(), await freePort()]
  const [pause, file] = [join(folder, 'pause'), join(folder, 'ebb.prom')]
  await writeFile(pause, '')
  const purge = ['purge', '"the \\ ""events"""', '--where', 'id <= 500', '--no-archive', '--execute']
  const run = ebb(folder, url, ...purge, '--metrics-port', String(port), '--metrics-file', file, '--pause-file', pause)
  const prometheus = await startPrometheus(own, port)
  try {
    const [waiting] = await until(async () => asked(own, 'ebb_run_waiting == 1'))
    assert.equal(waiting.metric.table, 'public."the \\ ""events"""')
    assert.equal((await asked(own, 'up'))[0].value[1], '1')
    await until(async () => asked(own, 'ebb_run_paused_seconds{reason="pause file"} > 0'))
    checked(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text())
    await rm(pause)
    const { code, printed } = await run.ended
    assert.equal(code, 0, printed)
    checked(await readFile(file, 'utf8'))
    await until(async () => asked(own, 'up == 0'))
  } finally {
    run.process.kill('SIGKILL')
    prometheus.kill('SIGKILL')
    await once(prometheus, 'close')
  }
}

async function startPrometheus(own, port) {
  const config = join(folder, 'prometheus.yml')
  const job = { job_name: 'ebb', scrape_interval: '1s', static_configs: [{ targets: [`127.0.0.1:${port}`] }] }
  // JSON is YAML.
  await writeFile(config, JSON.stringify({ scrape_configs: [job] }))
  const where = [`--config.file=${config}`, `--storage.tsdb.path=${join(folder, 'data')}`]
  const quietly = ['--log.level=error', `--web.listen-address=127.0.0.1:${own}`]
  return spawn('prometheus', [...where, ...quietly], { stdio: ['ignore', 'ignore', 'inherit'] }).on(
    'error',
    (error) => {
      throw new Error('prometheus cannot be started: Debian has it in the package prometheus', { cause: error })
    },
  )
}

async function asked(own, expression) {
  const answer = await fetch(`http://127.0.0.1:${own}/api/v1/query?query=${encodeURIComponent(expression)}`)
  return (await answer.json()).data.result
}

/** The first answer that is not empty. */
async function until(ask) {
  const last = performance.now() + LONGEST_WAIT_MS
  for (;;) {
    const found = await ask().catch(() => [])
    if (found.length > 0) return found
    if (performance.now() > last) throw new Error(`not within ${LONGEST_WAIT_MS / 1000} s: ${ask}`)
    await sleep(250)
  }
}

function checked(metrics) {
  assert.match(metrics, /^# TYPE ebb_/m)
  assert.equal(execFileSync('promtool', ['check', 'metrics'], { input: metrics, encoding: 'utf8' }), '')
}

async function freePort() {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}
