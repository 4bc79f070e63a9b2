import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import { expect } from 'vitest'
import { backendPid } from '../../src/db/pooler.ts'
import { openSession } from '../../src/db/session.ts'
import { onServer, withDestination } from '../../src/engine/rotate/destination.ts'
import { test } from '../support/database.ts'

// A server that partitions are moved to, and that no longer answers: packets are dropped, connections stay open.

/** Passes on what it gets, until it is told to keep it. */
async function network(url: string) {
  const { hostname, port } = new URL(url)
  const sockets: Socket[] = []
  const server = createServer((near) => {
    const far = connect(Number(port), hostname)
    sockets.push(near, far)
    near.pipe(far).pipe(near)
    for (const socket of [near, far]) socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const through = new URL(url)
  through.hostname = '127.0.0.1'
  through.port = String((server.address() as AddressInfo).port)
  return {
    url: through.href,
    cut: () => sockets.forEach((socket) => socket.unpipe().pause()),
    close: () => {
      server.close()
      sockets.forEach((socket) => socket.destroy())
    },
  }
}

test.for(['there', 'here'] as const)(
  'what is waited for %s ends soon, and can be tried later',
  async (where, { database }) => {
    const away = await network(database.adminUrl)
    const [session, control] = [await openSession(database.url, 'test'), await openSession(database.url, 'test')]
    const signal = new AbortController().signal
    const context = { signal, control, pid: await backendPid(session) }
    const working = withDestination(
      'cold',
      away.url,
      signal,
      (destination) =>
        onServer(destination, context, () => {
          away.cut()
          return (where === 'there' ? destination.session : session).query('select pg_sleep(600)')
        }),
      { askEveryMs: 20, silentMs: 200 },
    )
    await expect(working).rejects.toMatchObject({ kind: 'try later', message: 'cold no longer answers' })
    // Nothing else is cancelled here.
    expect((await session.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    away.close()
    await session.end()
    await control.end()
  },
)
