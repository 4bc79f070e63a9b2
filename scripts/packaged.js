// For stories told with the package as it would be published: its command as processes, and its databases.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join, resolve } from 'node:path'
import pg from 'pg'
import { startServer } from '../build/embedded/server.js'

/** Where the package is installed; the project itself counts. */
export function programIn(folder) {
  const [, , , program] = process.argv
  return program === undefined ? join(folder, 'node_modules', 'pg-ebb', 'bin', 'ebb.js') : resolve(program)
}

/** What programs import. */
export function libraryOf(folder) {
  return import(join(dirname(programIn(folder)), '..', 'dist', 'index.js'))
}

/** Starts a server for the time of `work`, which is given a function that creates databases and returns their URLs, and it. */
export async function withServer(work) {
  const server = await startServer()
  try {
    await work(async (name) => {
      await query(server.url, `create database ${name}`)
      const url = new URL(server.url)
      url.pathname = `/${name}`
      return url.href
    }, server)
  } finally {
    await server.remove()
  }
}

/** The command, as a process in the folder. */
export function ebb(folder, url, ...words) {
  const child = spawn(process.execPath, [programIn(folder), ...words], {
    cwd: folder,
    env: { ...process.env, DATABASE_URL: url },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  const awaited = []
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      printed += text
      for (const { pattern, resolve } of awaited) if (pattern.test(printed)) resolve()
    })
  const ended = once(child, 'close').then(([code]) => ({ code, printed }))
  return {
    process: child,
    ended,
    /** @throws when it ends without having said so */
    said: (pattern) =>
      Promise.race([
        new Promise((resolve) => awaited.push({ pattern, resolve })),
        ended.then(({ printed: all }) => assert.match(all, pattern)),
      ]),
  }
}

/** The same, to its end, which has to be with this code; returns what it has printed. */
export async function done(folder, url, words, code = 0) {
  const { code: ended, printed } = await ebb(folder, url, ...words).ended
  assert.equal(ended, code, `ebb ${words.join(' ')}\n${printed}`)
  return printed
}

export async function query(url, text, values = []) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query(text, values)
    return rows
  } finally {
    await client.end()
  }
}
