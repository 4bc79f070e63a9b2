import { createHash, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { crc32 } from 'node:zlib'

// A server that speaks as much of S3 as archives need, in memory, and fails on request: for what s3rver does not do
// (conditional puts, aborted and listed uploads, object lock, encryption) and what no server does when asked.

/** The same as that of s3rver. */
export const ACCESS_KEY = 'S3RVER'

const LEAST_PART = 5 * 2 ** 20
const MOST_PARTS = 10_000

/** What happens to a request instead of, or besides, its answer. */
export type Fault =
  | { readonly status: number; readonly code: string }
  /** The connection is reset before the request is carried out, or when it has been. */
  | 'reset'
  | 'reset afterwards'
  /** No answer, before it is carried out or when it has been. */
  | 'silence'
  | 'unanswered'
  /** Of a body: half of it, then the end of the connection or nothing more; or a bit of it is flipped. */
  | 'truncated'
  | 'stalled'
  | 'corrupted'

export interface S3Request {
  /** `PutObject`, `UploadPart`, … */
  readonly operation: string
  readonly key: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

export interface S3Object {
  readonly body: Buffer
  /** Those that belong to the object: `x-amz-meta-…`, `x-amz-storage-class`, … */
  readonly headers: Readonly<Record<string, string>>
}

interface Upload {
  readonly key: string
  readonly begunAt: string
  readonly headers: Readonly<Record<string, string>>
  readonly parts: Map<number, Buffer>
}

class S3Failure extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string) {
    super(code)
    this.status = status
    this.code = code
  }
}

export class S3Server {
  readonly objects = new Map<string, S3Object>()
  readonly uploads = new Map<string, Upload>()
  readonly requests: S3Request[] = []
  /** Asked for each request. */
  fault: (request: S3Request) => Fault | undefined = () => undefined
  /** Whether `If-None-Match` is obeyed, ignored, or refused with 501. */
  conditional: 'obeyed' | 'ignored' | 'refused' = 'obeyed'
  private readonly buckets: readonly string[]
  private readonly server: Server

  private constructor(buckets: readonly string[]) {
    this.buckets = buckets
    this.server = createServer((request, response) => void this.answer(request, response))
  }

  static async start(...buckets: string[]): Promise<S3Server> {
    const server = new S3Server(buckets)
    await new Promise<void>((resolve) => server.server.listen(0, '127.0.0.1', resolve))
    return server
  }

  get endpoint(): string {
    const address = this.server.address()
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  }

  /** Everything but the objects as it was at the start. */
  calm(): void {
    this.fault = () => undefined
    this.conditional = 'obeyed'
    this.requests.splice(0)
  }

  /** How often an operation was asked for. */
  count(operation: string): number {
    return this.requests.filter((request) => request.operation === operation).length
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  private async answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(message.url ?? '', 'http://localhost')
    const [, bucket = '', key = ''] = /^\/([^/]*)\/?(.*)$/s.exec(decodeURIComponent(url.pathname)) ?? []
    const request = { operation: operationOf(message.method ?? '', key, url), key, headers: message.headers }
    this.requests.push(request)
    const fault = this.fault(request)
    if (fault === 'reset') return void message.socket.resetAndDestroy()
    if (fault === 'silence') return
    try {
      if (typeof fault === 'object') throw new S3Failure(fault.status, fault.code)
      const reply = this.carryOut(request, bucket, url, await readBody(message))
      if (fault === 'reset afterwards') return void message.socket.resetAndDestroy()
      if (fault !== 'unanswered') send(response, reply, fault)
    } catch (error) {
      if (error instanceof S3Failure) return sendFailure(response, error, message.method === 'HEAD')
      message.socket.destroy()
    }
  }

  private carryOut(request: S3Request, bucket: string, url: URL, body: Buffer): Reply {
    const { operation, key, headers } = request
    if (!String(headers.authorization).includes(ACCESS_KEY)) throw new S3Failure(403, 'InvalidAccessKeyId')
    if (!this.buckets.includes(bucket)) throw new S3Failure(404, 'NoSuchBucket')
    const id = url.searchParams.get('uploadId') ?? ''
    switch (operation) {
      case 'PutObject':
        this.checkCondition(request)
        this.objects.set(key, { body, headers: kept(headers) })
        return { headers: { etag: etagOf(body) } }
      case 'HeadObject':
      case 'GetObject':
        return this.stored(key, operation)
      case 'DeleteObject':
        this.objects.delete(key)
        return { status: 204 }
      case 'ListObjectsV2':
        return this.list(url.searchParams)
      case 'CreateMultipartUpload': {
        const upload = randomUUID()
        this.uploads.set(upload, { key, begunAt: new Date().toISOString(), headers: kept(headers), parts: new Map() })
        return { xml: `<InitiateMultipartUploadResult><UploadId>${upload}</UploadId></InitiateMultipartUploadResult>` }
      }
      case 'UploadPart':
        return this.addPart(id, Number(url.searchParams.get('partNumber')), body)
      case 'CompleteMultipartUpload':
        this.checkCondition(request)
        return this.complete(id, body.toString())
      case 'AbortMultipartUpload':
        if (!this.uploads.delete(id)) throw new S3Failure(404, 'NoSuchUpload')
        return { status: 204 }
      case 'ListMultipartUploads':
        return this.listUploads(url.searchParams)
      default:
        throw new S3Failure(501, 'NotImplemented')
    }
  }

  private checkCondition({ key, headers }: S3Request): void {
    if (headers['if-none-match'] === undefined || this.conditional === 'ignored') return
    if (this.conditional === 'refused') throw new S3Failure(501, 'NotImplemented')
    if (this.objects.has(key)) throw new S3Failure(412, 'PreconditionFailed')
  }

  private stored(key: string, operation: string): Reply {
    const object = this.objects.get(key)
    if (object === undefined) throw new S3Failure(404, 'NoSuchKey')
    const { body, headers } = object
    if (headers['x-amz-storage-class'] === 'GLACIER' && operation === 'GetObject')
      throw new S3Failure(403, 'InvalidObjectState')
    return { headers: { ...headers, etag: etagOf(body) }, body }
  }

  private addPart(id: string, number: number, body: Buffer): Reply {
    const upload = this.uploads.get(id)
    if (upload === undefined) throw new S3Failure(404, 'NoSuchUpload')
    if (number < 1 || number > MOST_PARTS) throw new S3Failure(400, 'InvalidArgument')
    upload.parts.set(number, body)
    return { headers: { etag: etagOf(body) } }
  }

  private complete(id: string, listed: string): Reply {
    const upload = this.uploads.get(id)
    if (upload === undefined) throw new S3Failure(404, 'NoSuchUpload')
    const numbers = [...listed.matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)].map(([, number]) => Number(number))
    const etags = [...listed.matchAll(/<ETag>(?:"|&quot;)(\w+)(?:"|&quot;)<\/ETag>/g)].map(([, etag]) => `"${etag}"`)
    const parts = numbers.map((number) => upload.parts.get(number) ?? Buffer.alloc(0))
    if (parts.some((part, i) => etagOf(part) !== etags[i])) throw new S3Failure(400, 'InvalidPart')
    if (parts.slice(0, -1).some(({ length }) => length < LEAST_PART)) throw new S3Failure(400, 'EntityTooSmall')
    this.objects.set(upload.key, { body: Buffer.concat(parts), headers: upload.headers })
    this.uploads.delete(id)
    return { xml: '<CompleteMultipartUploadResult></CompleteMultipartUploadResult>' }
  }

  private list(query: URLSearchParams): Reply {
    const [prefix, after] = [query.get('prefix') ?? '', query.get('continuation-token') ?? '']
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort()
    const page = keys.slice(0, Number(query.get('max-keys') ?? 1000))
    const items = page.map(
      (key) => `<Contents><Key>${xml(key)}</Key><Size>${this.objects.get(key)?.body.length}</Size></Contents>`,
    )
    const more = page.length < keys.length
    const next = more ? `<NextContinuationToken>${xml(page.at(-1) ?? '')}</NextContinuationToken>` : ''
    return { xml: `<ListBucketResult><IsTruncated>${more}</IsTruncated>${next}${items.join('')}</ListBucketResult>` }
  }

  private listUploads(query: URLSearchParams): Reply {
    const [prefix, marker] = [query.get('prefix') ?? '', query.get('upload-id-marker') ?? '']
    const uploads = [...this.uploads].filter(([id, { key }]) => key.startsWith(prefix) && id > marker)
    const sorted = uploads.sort(([a], [b]) => (a < b ? -1 : 1))
    const page = sorted.slice(0, Number(query.get('max-uploads') ?? 1000))
    const [id = '', last] = page.at(-1) ?? []
    const items = page.map(
      ([upload, { key, begunAt }]) =>
        `<Upload><Key>${xml(key)}</Key><UploadId>${upload}</UploadId><Initiated>${begunAt}</Initiated></Upload>`,
    )
    const more = page.length < sorted.length
    const next = more
      ? `<NextKeyMarker>${xml(last?.key ?? '')}</NextKeyMarker><NextUploadIdMarker>${id}</NextUploadIdMarker>`
      : ''
    return {
      xml: `<ListMultipartUploadsResult><IsTruncated>${more}</IsTruncated>${next}${items.join('')}</ListMultipartUploadsResult>`,
    }
  }
}

interface Reply {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly xml?: string
  readonly body?: Buffer
}

function operationOf(method: string, key: string, { searchParams: query }: URL): string {
  if (key === '') return query.has('uploads') ? 'ListMultipartUploads' : 'ListObjectsV2'
  const upload = query.has('uploadId')
  switch (method) {
    case 'PUT':
      return upload ? 'UploadPart' : 'PutObject'
    case 'POST':
      return upload ? 'CompleteMultipartUpload' : 'CreateMultipartUpload'
    case 'DELETE':
      return upload ? 'AbortMultipartUpload' : 'DeleteObject'
    default:
      return method === 'HEAD' ? 'HeadObject' : 'GetObject'
  }
}

/** The body, out of its signed chunks if it comes in such, and compared with the checksum it comes with. */
async function readBody(message: IncomingMessage): Promise<Buffer> {
  const raw = await buffer(message)
  const { body, trailer } = String(message.headers['content-encoding']).includes('aws-chunked')
    ? unchunked(raw)
    : { body: raw, trailer: '' }
  const md5 = message.headers['content-md5']
  if (md5 !== undefined && md5 !== createHash('md5').update(body).digest('base64'))
    throw new S3Failure(400, 'BadDigest')
  const sum = message.headers['x-amz-checksum-crc32'] ?? /x-amz-checksum-crc32:(\S+)/.exec(trailer)?.[1]
  if (sum !== undefined && sum !== crc32Of(body)) throw new S3Failure(400, 'BadDigest')
  return body
}

function unchunked(raw: Buffer): { readonly body: Buffer; readonly trailer: string } {
  const chunks: Buffer[] = []
  for (let at = 0; ;) {
    const lineEnd = raw.indexOf('\r\n', at)
    const size = Number.parseInt(raw.subarray(at, lineEnd).toString(), 16)
    if (size === 0) return { body: Buffer.concat(chunks), trailer: raw.subarray(lineEnd).toString() }
    chunks.push(raw.subarray(lineEnd + 2, lineEnd + 2 + size))
    at = lineEnd + 2 + size + 2
  }
}

function crc32Of(body: Buffer): string {
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(body))
  return sum.toString('base64')
}

function kept(headers: S3Request['headers']): Record<string, string> {
  const belongs = /^x-amz-(?:meta-|storage-class|server-side-encryption|object-lock)/
  return Object.fromEntries(Object.entries(headers).filter(([name]) => belongs.test(name))) as Record<string, string>
}

function send(response: ServerResponse, { status = 200, headers, xml: text, body }: Reply, fault?: Fault): void {
  const content = text === undefined ? (body ?? Buffer.alloc(0)) : Buffer.from(`<?xml version="1.0"?>${text}`)
  response.writeHead(status, { ...headers, ...(status === 204 ? {} : { 'content-length': content.length }) })
  const half = content.subarray(0, content.length / 2)
  if (fault === 'truncated') return void response.write(half, () => response.destroy())
  if (fault === 'stalled') return void response.write(half)
  response.end(fault === 'corrupted' ? flipped(content) : content)
}

function flipped(content: Buffer): Buffer {
  const copy = Buffer.from(content)
  const middle = Math.floor(copy.length / 2)
  copy[middle] = (copy[middle] ?? 0) ^ 1
  return copy
}

function sendFailure(response: ServerResponse, { status, code }: S3Failure, head: boolean): void {
  const content = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>as a test wants it</Message></Error>`
  response.writeHead(status, { 'content-length': head ? 0 : content.length, 'content-type': 'application/xml' })
  response.end(head ? '' : content)
}

function etagOf(body: Buffer): string {
  return `"${createHash('md5').update(body).digest('hex')}"`
}

function xml(text: string): string {
  return text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`)
}
