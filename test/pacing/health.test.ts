import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { CHECK_TIMEOUT_MS, checkUrl } from '../../src/pacing/readings/health.ts'

describe('a health URL', () => {
  test('that never answers counts as unwell after its time, whatever is collected meanwhile', async () => {
    await using silent = await listen()
    const collecting = setInterval(collectGarbage, 100)
    try {
      const began = performance.now()
      const health = await checkUrl(`http://${silent.host}/`, new AbortController().signal)
      expect(health).toEqual({
        ok: false,
        why: `the health check at ${silent.host} cannot be reached (no answer within 3 s)`,
      })
      expect(performance.now() - began).toBeLessThan(2 * CHECK_TIMEOUT_MS)
    } finally {
      clearInterval(collecting)
    }
  })

  test('is left at once when the run ends', async () => {
    await using silent = await listen()
    const ending = new AbortController()
    const check = checkUrl(`http://${silent.host}/`, ending.signal)
    ending.abort(new Error('the run ends'))
    await expect(check).rejects.toThrow('the run ends')
  })
})

/** A server that takes requests and answers none. */
async function listen() {
  const server = createServer(() => {})
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
