import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { LiveMetrics } from '../report/live-metrics.ts'
import { prometheusText, type Sample } from '../report/metrics.ts'
import type { Place } from '../requests/metrics-port.ts'
import type { OfRun } from './notes.ts'

/** A run whose metrics are served while it is at work. */
export interface LiveRun {
  readonly metrics: LiveMetrics
  close(): void
}

/** @throws when the port is taken, or the host is not this machine's */
export async function serveLive(place: Place, { command, database }: OfRun): Promise<LiveRun> {
  const metrics = new LiveMetrics()
  const value = Math.floor(Date.now() / 1000)
  const began: Sample = { metric: 'ebb_run_start_timestamp_seconds', labels: {}, value }
  const close = await serve(place, () => prometheusText([began, ...metrics.samples()], { database, command }))
  return { metrics, close }
}

/** Serves a text at /metrics for as long as the process is at work, which it does not prolong. Returns what ends it. */
async function serve({ host, port }: Place, text: () => string): Promise<() => void> {
  const server = createServer(answering(text)).unref()
  server.on('connection', (socket) => socket.unref())
  await once(server.listen(port, host), 'listening')
  // Of a single connection that fails.
  server.on('error', () => {})
  return () => {
    server.close()
    server.closeAllConnections()
  }
}

function answering(text: () => string): RequestListener {
  return ({ method, url }, response) => {
    if (url?.replace(/\?.*$/s, '') !== '/metrics') response.writeHead(404).end('See /metrics.\n')
    else if (method !== 'GET' && method !== 'HEAD') response.writeHead(405, { allow: 'GET, HEAD' }).end()
    else response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text())
  }
}
