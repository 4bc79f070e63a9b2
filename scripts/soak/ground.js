// What the long tries with kills and crashes stand on: choices that a seed repeats, queries, the command as a process of its own.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import pg from 'pg'

const EBB = join(import.meta.dirname, '../../bin/ebb.js')

/** mulberry32 */
export function randomOf(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

export function assert(condition, what) {
  if (!condition) throw new Error(what)
}

/** Does something with a session on a database. */
export async function on(server, database, work) {
  const client = new pg.Client({ connectionString: new URL(`/${database}`, server.url).href })
  client.on('error', () => {})
  await client.connect()
  try {
    return await work(async (text, values) => (await client.query(text, values)).rows)
  } finally {
    await client.end()
  }
}

/** Starts the command: the process, its exit code when it has ended, and all that it has said. */
export function startEbb(words, env) {
  const child = spawn(process.execPath, [EBB, ...words], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = []
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk) => said.push(chunk))
  return { child, ended: once(child, 'close').then(([code]) => code), said: () => said.join('') }
}
