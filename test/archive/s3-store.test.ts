import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { AbortMultipartUploadCommand, UploadPartCommand, type S3Client } from '@aws-sdk/client-s3'
import S3rver from 's3rver'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { probe } from '../../src/archive/probe.ts'
import { optional } from '../../src/archive/optional.ts'
import { openStore } from '../../src/archive/stores/open.ts'
import { partSizeFor } from '../../src/archive/stores/parts.ts'
import { upload } from '../../src/archive/stores/upload.ts'
import { S3_LIMITS, S3Store } from '../../src/archive/stores/s3.ts'
import { parseDestination, type BucketDestination } from '../../src/plan/archive/destination.ts'
import { ACCESS_KEY, S3Server, type Fault } from '../support/s3-server.ts'
import { all, contentsOf, put, stalled, storeContract, textOf } from './store-contract.ts'

const SIGNAL = new AbortController().signal
const MEBIBYTE = 2 ** 20
const LIMITS = { ...S3_LIMITS, idleMs: 300, attempts: 2, pageSize: 3 }

let server: S3Server
let opened = 0

beforeAll(async () => {
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: ACCESS_KEY,
    AWS_SECRET_ACCESS_KEY: ACCESS_KEY,
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
  })
  server = await S3Server.start('archive')
})
afterAll(() => server.stop())
beforeEach(() => {
  server.calm()
  server.objects.clear()
  server.uploads.clear()
})

function uriOf(endpoint: string, options = '', bucket = 'archive'): string {
  return `s3://${bucket}/${++opened} ä/below?region=us-east-1&endpoint=${endpoint}${options}`
}

/** A store of the server. */
function opening(uri = uriOf(server.endpoint), limits = LIMITS, signal = SIGNAL): S3Store {
  return new S3Store(parseDestination(uri, '/') as BucketDestination, signal, limits)
}

/** Fails some requests of an operation, counted from 1. */
function failing(operation: string, fault: Fault, ...which: number[]): void {
  let seen = 0
  server.fault = (request) => {
    if (request.operation !== operation) return undefined
    seen++
    return which.length === 0 || which.includes(seen) ? fault : undefined
  }
}

function large(store: S3Store, name: string, bytes = 9 * MEBIBYTE): Promise<void> {
  const pieces = Array.from({ length: bytes / MEBIBYTE }, (_, i) => Buffer.alloc(MEBIBYTE, i))
  return store.put(name, Readable.from(pieces), { atMost: bytes, signal: SIGNAL })
}

describe('a bucket', () => {
  storeContract(async () => openStore(uriOf(server.endpoint)))

  test('is listed page by page', async () => {
    const store = opening()
    for (let i = 10; i < 18; i++) await put(store, `a/${i}`, 'x')
    expect((await all(store.list('a/'))).map(({ name }) => name)).toEqual(
      [10, 11, 12, 13, 14, 15, 16, 17].map((i) => `a/${i}`),
    )
    expect(server.count('ListObjectsV2')).toBe(3)
    const stop = new AbortController()
    const puts = Array.from({ length: 4 }, (_, i) => {
      const content = stalled(9 * MEBIBYTE)
      return store.put(`b/${i}`, content, { atMost: 10 * MEBIBYTE, signal: stop.signal }).catch(() => undefined)
    })
    while (server.uploads.size < 4) await sleep(10)
    expect((await all(store.unfinished('b/'))).map(({ name }) => name).sort()).toEqual(
      [0, 1, 2, 3].map((i) => `b/${i}`),
    )
    stop.abort()
    await Promise.all(puts)
    expect(server.uploads.size).toBe(0)
  })

  test('gets objects with the properties that the URI asks for, in one request or in parts', async () => {
    const options =
      '&storage-class=STANDARD_IA&sse=aws:kms&sse-kms-key-id=k1&object-lock-mode=COMPLIANCE&object-lock-days=10'
    const store = opening(uriOf(server.endpoint, options))
    await put(store, 'small', 'x')
    await large(store, 'large')
    for (const { headers } of server.objects.values()) {
      expect(headers).toMatchObject({
        'x-amz-storage-class': 'STANDARD_IA',
        'x-amz-server-side-encryption': 'aws:kms',
        'x-amz-server-side-encryption-aws-kms-key-id': 'k1',
        'x-amz-object-lock-mode': 'COMPLIANCE',
      })
      const days = (Date.parse(headers['x-amz-object-lock-retain-until-date'] ?? '') - Date.now()) / 86_400_000
      expect(days).toBeCloseTo(10, 2)
    }
    expect(server.count('UploadPart')).toBe(2)
    // Object lock asks for a checksum of each body; this one is known to every server.
    const bodies = server.requests.filter(({ operation }) => ['PutObject', 'UploadPart'].includes(operation))
    expect(bodies.every(({ headers }) => headers['content-md5'] !== undefined)).toBe(true)
    expect(bodies.some(({ headers }) => 'x-amz-trailer' in headers || headers.expect !== undefined)).toBe(false)
  })

  test('a request whose answer was lost is not taken for somebody else’s', async () => {
    const store = opening()
    failing('PutObject', 'reset afterwards', 1)
    await put(store, 'a', 'content')
    expect(server.count('PutObject')).toBe(2)
    expect(await textOf(store, 'a')).toBe('content')
    failing('CompleteMultipartUpload', 'reset afterwards', 1)
    await large(store, 'b')
    expect(server.count('CompleteMultipartUpload')).toBe(2)
    expect((await buffer(await store.get('b'))).length).toBe(9 * MEBIBYTE)
    expect(server.uploads.size).toBe(0)
    // Of somebody else: found when it is looked for, or only by the condition.
    await expect(put(store, 'a', 'another')).rejects.toMatchObject({ problem: 'exists' })
    failing('HeadObject', { status: 403, code: 'AccessDenied' })
    await expect(put(store, 'a', 'another')).rejects.toMatchObject({ problem: 'exists' })
    await expect(large(store, 'b')).rejects.toMatchObject({ problem: 'exists' })
    expect(await textOf(store, 'a')).toBe('content')
    expect(server.uploads.size).toBe(0)
  })

  test('nothing is replaced either where the server ignores the condition or does not know it', async () => {
    const store = opening()
    await put(store, 'a', 'first')
    for (const conditional of ['ignored', 'refused'] as const) {
      server.conditional = conditional
      await expect(put(store, 'a', 'second')).rejects.toMatchObject({ problem: 'exists' })
      await put(store, conditional, 'new')
      await large(store, `large-${conditional}`)
      expect(await textOf(store, 'a')).toBe('first')
      expect(await textOf(store, conditional)).toBe('new')
    }
  })

  test.each(['PutObject', 'CreateMultipartUpload', 'UploadPart', 'CompleteMultipartUpload', 'HeadObject'])(
    'a failure of %s is repeated, told as what it was, and leaves nothing',
    async (operation) => {
      const store = opening()
      const write = (name: string) => (operation === 'PutObject' ? put(store, name, 'content') : large(store, name))
      for (const fault of [{ status: 503, code: 'SlowDown' }, 'reset'] as const) {
        failing(operation, fault, 1)
        await write(`once-${JSON.stringify(fault)}`)
        failing(operation, fault)
        await expect(write('always')).rejects.toMatchObject({
          problem: 'unreachable',
          kind: 'try later',
          message: expect.stringContaining('the bucket archive cannot be reached') as string,
        })
      }
      server.calm()
      expect(await all(store.list('always'))).toEqual([])
      expect(server.uploads.size).toBe(0)
    },
  )

  test('a server that does not answer is waited for so long', async () => {
    const store = opening(uriOf(server.endpoint), { ...LIMITS, requestMs: 300 })
    for (const operation of ['HeadObject', 'PutObject', 'GetObject', 'ListObjectsV2', 'ListMultipartUploads']) {
      failing(operation, 'silence')
      const asked = async () => {
        await put(store, operation, 'content')
        await store.get(operation)
        await contentsOf(store)
      }
      await expect(asked()).rejects.toMatchObject({ problem: 'unreachable' })
      expect(server.count(operation)).toBeGreaterThanOrEqual(2)
      server.calm()
    }
  })

  test('an upload whose begin is not answered in time is left, and known', async () => {
    const store = opening()
    failing('CreateMultipartUpload', 'reset afterwards', 1)
    await large(store, 'a')
    expect((await all(store.unfinished(''))).map(({ name }) => name)).toEqual(['a'])
  })

  test('an error is not replaced by that of cleaning up, and what is left is known', async () => {
    const store = opening()
    server.fault = ({ operation }) => {
      if (operation === 'UploadPart') return { status: 403, code: 'AccessDenied' }
      return operation === 'AbortMultipartUpload' ? { status: 405, code: 'MethodNotAllowed' } : undefined
    }
    await expect(large(store, 'x/a')).rejects.toMatchObject({
      problem: 'denied',
      message: expect.stringContaining('AccessDenied') as string,
    })
    server.calm()
    const left = await all(store.unfinished('x/'))
    expect(left.map(({ name }) => name)).toEqual(['x/a'])
    for (const upload of left) await store.discard(upload)
    expect(server.uploads.size).toBe(0)
  })

  test('a part that fails is told at once, while content waits', async () => {
    const store = opening()
    failing('UploadPart', { status: 403, code: 'AccessDenied' })
    const content = stalled(9 * MEBIBYTE)
    const putting = store.put('a', content, { atMost: 10 * MEBIBYTE, signal: SIGNAL })
    await expect(putting).rejects.toMatchObject({ problem: 'denied' })
    expect(content.destroyed).toBe(true)
    expect(server.uploads.size).toBe(0)
  })

  test('what is stopped while it is begun does not stay', async () => {
    const store = opening()
    const reason = new Error('stopped')
    const stop = new AbortController()
    server.fault = ({ operation }) => {
      if (operation === 'CreateMultipartUpload') stop.abort(reason)
      return undefined
    }
    const putting = store.put('a', stalled(9 * MEBIBYTE), { atMost: 10 * MEBIBYTE, signal: stop.signal })
    await expect(putting).rejects.toBe(reason)
    expect(server.count('AbortMultipartUpload')).toBe(1)
    expect(server.uploads.size).toBe(0)
  })

  test('what is stopped while it is stored does not stay', async () => {
    const store = opening()
    const reason = new Error('stopped')
    const stop = new AbortController()
    server.fault = ({ operation }) => {
      if (operation !== 'PutObject') return undefined
      setTimeout(() => stop.abort(reason), 50)
      return 'unanswered'
    }
    await expect(store.put('a', Readable.from(['x']), { atMost: 1, signal: stop.signal })).rejects.toBe(reason)
    expect(server.count('DeleteObject')).toBe(1)
    expect(server.objects.size).toBe(0)
  })

  test.each<[string, (store: S3Store) => Promise<unknown>]>([
    ['GetObject', (store) => store.get('a')],
    ['ListObjectsV2', (store) => all(store.list(''))],
    ['DeleteObject', (store) => store.remove('a')],
    ['ListMultipartUploads', (store) => all(store.unfinished(''))],
  ])('%s ends when a stop is requested, however long the server is silent', async (operation, ask) => {
    const reason = new Error('stopped')
    const stop = new AbortController()
    const store = opening(uriOf(server.endpoint), S3_LIMITS, stop.signal)
    server.fault = (request) => {
      if (request.operation !== operation) return undefined
      setTimeout(() => stop.abort(reason), 10)
      return 'silence'
    }
    await expect(ask(store)).rejects.toBe(reason)
  })

  test('so does what is read of an object', async () => {
    const stop = new AbortController()
    const store = opening(uriOf(server.endpoint), S3_LIMITS, stop.signal)
    await put(store, 'a', 'content')
    server.fault = ({ operation }) => (operation === 'GetObject' ? 'stalled' : undefined)
    const content = await store.get('a')
    setTimeout(() => stop.abort(), 10)
    await expect(buffer(content)).rejects.toThrow('aborted')
  })

  test('the size of parts follows from how large an object can be, and no part is too many', async () => {
    expect(partSizeFor(1)).toBe(5 * MEBIBYTE)
    expect(partSizeFor(50_000 * MEBIBYTE)).toBe(5 * MEBIBYTE)
    expect(partSizeFor(50_000 * MEBIBYTE + 1)).toBe(6 * MEBIBYTE)
    // A server would take its time for so many.
    const sent: unknown[] = []
    const send = async (command: object) => {
      sent.push(command)
      return { UploadId: 'u', ETag: 'e' }
    }
    const target = {
      client: { send } as unknown as S3Client,
      Bucket: 'b',
      Key: 'k',
      partSize: 1,
      properties: {},
      signal: SIGNAL,
    }
    await expect(upload(target, Readable.from([Buffer.alloc(10_001)]))).rejects.toThrow(
      'would need more than 10000 parts',
    )
    expect(sent.filter((command) => command instanceof UploadPartCommand).length).toBe(10_000)
    expect(sent.at(-1)).toBeInstanceOf(AbortMultipartUploadCommand)
  })

  test('errors while reading destroy the stream', async () => {
    const store = opening()
    await put(store, 'a', Buffer.alloc(MEBIBYTE, 'x'))
    for (const fault of ['truncated', 'stalled'] as const) {
      failing('GetObject', fault)
      await expect(textOf(store, 'a')).rejects.toMatchObject({ name: 'StoreError', problem: 'unreachable' })
    }
    // Not of those is a reader that takes its time.
    server.calm()
    let bytes = 0
    for await (const chunk of await store.get('a')) {
      if (bytes === 0) await sleep(3 * LIMITS.idleMs)
      bytes += (chunk as Buffer).length
    }
    expect(bytes).toBe(MEBIBYTE)
    failing('GetObject', 'corrupted')
    expect(await textOf(store, 'a')).not.toBe('x'.repeat(MEBIBYTE))
    failing('GetObject', { status: 403, code: 'InvalidObjectState' })
    await expect(store.get('a')).rejects.toThrow('has moved the object to a storage class')
  })

  test('a probe says what is wrong before anything starts', async () => {
    const missing = opening(uriOf(server.endpoint, '', 'absent'))
    await expect(probe(missing, SIGNAL)).rejects.toMatchObject({
      problem: 'no store',
      message: 'the bucket absent does not exist (NoSuchBucket: as a test wants it)',
    })
    for (const [operation, code, problem] of [
      ['PutObject', 'AccessDenied', 'denied'],
      ['GetObject', 'AccessDenied', 'denied'],
      ['PutObject', 'InvalidStorageClass', 'refused'],
      ['PutObject', 'BadDigest', 'damaged'],
    ] as const) {
      failing(operation, { status: code === 'AccessDenied' ? 403 : 400, code })
      await expect(probe(opening(), SIGNAL)).rejects.toMatchObject({
        problem,
        message: expect.stringContaining(code) as string,
      })
    }
    failing('GetObject', 'corrupted')
    await expect(probe(opening(), SIGNAL)).rejects.toMatchObject({ problem: 'damaged' })
    failing('DeleteObject', { status: 403, code: 'AccessDenied' })
    await probe(opening(), SIGNAL)
    const nowhere = opening(uriOf('http://127.0.0.1:1'))
    await expect(probe(nowhere, SIGNAL)).rejects.toMatchObject({ problem: 'unreachable' })
  })

  test('credentials are those of the SDK, and their errors are told', async () => {
    process.env.AWS_ACCESS_KEY_ID = 'AKIAWRONG'
    await expect(probe(opening(), SIGNAL)).rejects.toMatchObject({ problem: 'denied' })
    await expect(opening().get('a')).rejects.toThrow('does not accept the credentials (InvalidAccessKeyId')
    delete process.env.AWS_ACCESS_KEY_ID
    await expect(probe(opening(), SIGNAL)).rejects.toThrow('no credentials were found')
    process.env.AWS_ACCESS_KEY_ID = ACCESS_KEY
    const nowhere = opening(uriOf(server.endpoint).replace('region=us-east-1&', ''))
    await expect(probe(nowhere, SIGNAL)).rejects.toThrow('cannot be used without a region')
  })

  test('memory does not grow with an object', async () => {
    const store = opening()
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const held = () => {
      collect()
      return process.memoryUsage().arrayBuffers
    }
    const before = held()
    let most = 0
    const chunk = Buffer.alloc(MEBIBYTE)
    // The server is in this process and keeps the parts: it forgets them here.
    server.fault = () => void server.uploads.forEach(({ parts }) => parts.clear())
    const content = Readable.from(
      (function* () {
        for (let i = 0; i < 256; i++) {
          if (i % 4 === 0) most = Math.max(most, held() - before)
          yield chunk
        }
      })(),
    )
    await expect(store.put('a', content, { atMost: 256 * MEBIBYTE, signal: SIGNAL })).rejects.toMatchObject({
      problem: 'damaged',
    })
    // Three parts of 5 MiB, each as it is read, sent and received: which of these coincide is a matter of luck.
    expect(most).toBeLessThan(128 * MEBIBYTE)
  })

  test('the package is needed by those who use it', async () => {
    // @ts-expect-error There is no such package.
    const load = () => import('@aws-sdk/not-there') as Promise<unknown>
    await expect(optional(load, '@aws-sdk/client-s3')).rejects.toMatchObject({
      message: 'the package @aws-sdk/client-s3 is needed for this, and it is not installed',
      advice: { next: expect.stringContaining('npm install @aws-sdk/client-s3') as string },
    })
  })
})

// It knows access keys, and does not check signatures (of version 4). It knows neither conditions nor the end or a list of uploads, and lists folders first.
describe('a bucket of s3rver', () => {
  const directory = mkdtempSync(join(tmpdir(), 'ebb-s3rver-'))
  const configureBuckets = [{ name: 'archive', configs: [] }]
  const other = new S3rver({ port: 0, address: '127.0.0.1', silent: true, directory, configureBuckets })
  let endpoint = ''

  beforeAll(async () => {
    const { port } = await other.run()
    endpoint = `http://127.0.0.1:${port}`
  })
  afterAll(async () => {
    await other.close()
    rmSync(directory, { recursive: true })
  })

  storeContract(async () => openStore(uriOf(endpoint)), ['conditional', 'uploads', 'order'])
})
