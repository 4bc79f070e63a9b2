import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect } from 'vitest'
import { CHECK_TIMEOUT_MS, checkUrl } from '../../src/pacing/readings/health.ts'
import { test } from '../support/database.ts'

describe('a health URL', () => {
  test('that does not answer counts as unhealthy after its timeout, without leaking connections', async ({
    judgeTimes,
  }) => {
    await using silent = await listen()
    const collecting = setInterval(collectGarbage, 100)
    try {
      const began = performance.now()
      const health = await checkUrl(`http://${silent.host}/`, new AbortController().signal)
      expect(health).toEqual({
        ok: false,
        why: `the health check at ${silent.host} is unreachable (no answer within 3 s)`,
      })
      const tookMs = performance.now() - began
      await judgeTimes(() => expect(tookMs).toBeLessThan(2 * CHECK_TIMEOUT_MS))
    } finally {
      clearInterval(collecting)
    }
  })

  test('is aborted at once when the run ends', async () => {
    await using silent = await listen()
    const ending = new AbortController()
    const check = checkUrl(`http://${silent.host}/`, ending.signal)
    ending.abort(new Error('the run ends'))
    await expect(check).rejects.toThrow('the run ends')
  })
})

describe('the answer of a health URL', () => {
  const asked = (host: string, path = '/') => checkUrl(`http://me:secret@${host}${path}`, new AbortController().signal)

  test('is not followed to another host', async () => {
    const seen: string[] = []
    await using other = await listen((request, response) => {
      seen.push(request.url ?? '')
      response.end()
    })
    await using moved = await listen((_, response) => {
      response.writeHead(302, { location: `http://${other.host}/?from=inside` }).end()
    })
    expect(await asked(moved.host)).toEqual({
      ok: false,
      why: `the health check at ${moved.host} redirects (302) to another host, which is not followed`,
    })
    expect(seen).toEqual([])
  })

  test.for(['file:///etc/hostname', 'data:text/plain,well', '//[', 'ftp://127.0.0.1/'])(
    'is not followed to %s',
    async (location) => {
      await using moved = await listen((_, response) => void response.writeHead(307, { location }).end())
      expect(await asked(moved.host)).toMatchObject({ ok: false })
    },
  )

  test('is followed on the same host, with the credentials, a few times at most', async () => {
    await using server = await listen((request, response) => {
      const [, left = '0'] = /^\/(\d+)$/.exec(request.url ?? '') ?? []
      if (request.headers.authorization !== `Basic ${btoa('me:secret')}`) response.writeHead(401).end()
      else if (left === '0') response.end('well')
      else response.writeHead(301, { location: `/${Number(left) - 1}` }).end()
    })
    expect(await asked(server.host, '/3')).toEqual({ ok: true })
    expect(await asked(server.host, '/1000')).toEqual({
      ok: false,
      why: `the health check at ${server.host} redirects (301) too often`,
    })
  })

  test('is read only up to a limit', async ({ judgeTimes }) => {
    let sent = 0
    await using endless = await listen((_, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536))) sent += 65_536
      }
      response.on('drain', more)
      more()
    })
    const began = performance.now()
    expect(await asked(endless.host)).toEqual({ ok: true })
    const tookMs = performance.now() - began
    await sleep(200)
    expect(sent).toBeLessThan(20_000_000)
    await judgeTimes(() => expect(tookMs).toBeLessThan(CHECK_TIMEOUT_MS))
  })

  test('is never repeated, except for the status code', async () => {
    await using loud = await listen((_, response) => {
      response.socket?.end('HTTP/1.1 503 \u001b[2JAll well\r\nx-note: \u001b[31m\r\n\r\n\u001b]0;title\u0007')
    })
    await using garbled = await listen((_, response) => void response.socket?.end('\u001b[2J well\r\n\r\n'))
    await using talkative = await listen((_, response) => {
      response.socket?.end(`HTTP/1.1 200 OK\r\n${'x-note: well\r\n'.repeat(100_000)}\r\n`)
    })
    for (const { host } of [loud, garbled, talkative]) {
      const health = await asked(host)
      expect(health).toMatchObject({ ok: false, why: expect.stringContaining(host) as string })
      // eslint-disable-next-line no-control-regex -- these are what must not be there
      expect(JSON.stringify(health)).not.toMatch(/[\u0000-\u001f]|well|title|\\u/)
    }
  })

  test('with headers sent byte by byte does not delay the run', async ({ judgeTimes }) => {
    await using slow = await listen((_, response) => {
      const dripping = setInterval(() => response.socket?.write('x'), 100)
      response.socket?.write('HTTP/1.1 200 OK\r\nx-note: ')
      response.socket?.on('close', () => clearInterval(dripping))
    })
    const began = performance.now()
    expect(await asked(slow.host)).toMatchObject({
      ok: false,
      why: expect.stringMatching(/no answer within 3 s/) as string,
    })
    const tookMs = performance.now() - began
    await judgeTimes(() => expect(tookMs).toBeLessThan(2 * CHECK_TIMEOUT_MS))
  })
})

/** A server; one that is told nothing takes requests and answers none. */
async function listen(answer: RequestListener = () => {}) {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    host: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
}
