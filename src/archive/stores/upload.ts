import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
  type CompletedPart,
  type CreateMultipartUploadCommandOutput,
  type PutObjectCommandInput,
  type S3Client,
} from '@aws-sdk/client-s3'
import { createHash, randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'
import { StoreError } from '../store-error.ts'
import { MOST_PARTS, partsOf, type Part } from './parts.ts'
import { isAnswer, statusOf } from './s3-error.ts'

// An object of a bucket is stored in one request, or in parts if it is larger than one. The SDK's own upload is not
// used: stopped while its content waits, it leaves the parts in the bucket, and if removing them fails, that error
// replaces the one that matters. Each body is a buffer, so that a request can be repeated, and has an MD5, which all
// servers of S3 compare; signed chunks, which streams come in, are stored as content by some.
//
// A request may be repeated after it has been carried out, because its answer was lost. A repeated conditional put is
// then told that the object exists, a repeated completion that there is no such upload. So each object has a token of
// its writer, by which it recognizes its own.

const TOKEN = 'ebb-upload'
const IN_FLIGHT = 2
const CLEANUP_MS = 15_000

export interface Target {
  readonly client: S3Client
  readonly Bucket: string
  readonly Key: string
  readonly partSize: number
  /** How the object is stored: its class, encryption, lock. */
  readonly properties: Partial<PutObjectCommandInput>
  readonly signal: AbortSignal
}

/** Stores an object, or nothing. It is not to replace one that appears in the meantime. */
export async function upload(target: Target, content: Readable): Promise<void> {
  const parts = partsOf(content, target.partSize)
  const first = await nextOf(parts)
  const writer: Writer = { ...target, token: randomUUID() }
  if (first.last) await putWhole(writer, first.body)
  else await putInParts(writer, content, first, parts)
}

type Writer = Target & { readonly token: string }

async function nextOf(parts: AsyncGenerator<Part, void>): Promise<Part> {
  const { value } = await parts.next()
  return value ?? { body: Buffer.alloc(0), last: true }
}

async function putWhole(writer: Writer, body: Buffer): Promise<void> {
  const { client, signal: abortSignal, Bucket, Key } = writer
  const request = { ...propertiesOf(writer), Bucket, Key, Body: body, ContentMD5: md5(body) }
  await store(writer, (condition) => client.send(new PutObjectCommand({ ...request, ...condition }), { abortSignal }))
}

function propertiesOf({ properties, token }: Writer): Target['properties'] {
  return { ...properties, Metadata: { [TOKEN]: token } }
}

async function putInParts(writer: Writer, content: Readable, first: Part, rest: AsyncIterable<Part>): Promise<void> {
  const { client, signal, Bucket, Key } = writer
  const { UploadId } = await begin(writer)
  const stop = new AbortController()
  const sent: Promise<CompletedPart>[] = []
  try {
    signal.throwIfAborted()
    await sendPart(first)
    for await (const part of rest) await sendPart(part)
    const MultipartUpload = { Parts: await Promise.all(sent) }
    const request = { Bucket, Key, UploadId, MultipartUpload }
    await store(writer, (condition) =>
      client.send(new CompleteMultipartUploadCommand({ ...request, ...condition }), { abortSignal: signal }),
    )
  } catch (error) {
    // A part that arrives after the upload has been aborted would stay.
    stop.abort()
    await Promise.allSettled(sent)
    await abortUpload(client, { Bucket, Key, UploadId }).catch(() => undefined)
    throw error
  }

  /** Returns when the next one may be read: while this one is sent, and the one before it has been. */
  async function sendPart({ body }: Part): Promise<void> {
    const PartNumber = sent.length + 1
    if (PartNumber > MOST_PARTS) throw tooLarge(Key)
    const request = { Bucket, Key, UploadId, PartNumber, Body: body, ContentMD5: md5(body) }
    const abortSignal = AbortSignal.any([stop.signal, signal])
    const sending = client
      .send(new UploadPartCommand(request), { abortSignal })
      .then(({ ETag }) => ({ ETag, PartNumber }))
    // Whoever waits for content hears of it, too.
    sending.catch((error: Error) => content.destroy(error))
    sent.push(sending)
    await sent.at(-IN_FLIGHT)
  }
}

/** When it is stopped meanwhile, the answer is waited for, as long as that is reasonable: it tells which upload to abort. */
async function begin(writer: Writer): Promise<CreateMultipartUploadCommandOutput> {
  const { client, signal, Bucket, Key } = writer
  const late = new AbortController()
  const stop = () => setTimeout(() => late.abort(signal.reason), CLEANUP_MS).unref()
  signal.addEventListener('abort', stop, { once: true })
  try {
    const request = new CreateMultipartUploadCommand({ ...propertiesOf(writer), Bucket, Key })
    return await client.send(request, { abortSignal: late.signal })
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** Ends an upload. What has been sent of it is gone, and what is on its way is refused. */
export async function abortUpload(
  client: S3Client,
  upload: { readonly Bucket: string; readonly Key: string; readonly UploadId: string | undefined },
): Promise<void> {
  try {
    await client.send(new AbortMultipartUploadCommand(upload), inShort())
  } catch (error) {
    if (statusOf(error) !== 404) throw error
  }
}

type Condition = { readonly IfNoneMatch?: '*' }

/** Sends the request by which the object comes to be. If it fails, there is none, or it is not ours. */
async function store(writer: Writer, send: (condition: Condition) => Promise<unknown>): Promise<void> {
  try {
    await unlessReplacing(send)
  } catch (error) {
    if (mayBeRepeated(error) && (await isOurs(writer))) return
    if (mayBeStored(error, writer.signal)) await removeOurs(writer)
    throw error
  }
}

/** Some servers do not know the condition and say so; there the object has been looked for before, and that is all. */
async function unlessReplacing(send: (condition: Condition) => Promise<unknown>): Promise<void> {
  try {
    await send({ IfNoneMatch: '*' })
  } catch (error) {
    if (statusOf(error) !== 501) throw error
    await send({})
  }
}

/** What a repeated request is told if the first one was carried out. */
function mayBeRepeated(error: unknown): boolean {
  return statusOf(error) === 412 || isAnswer(error, 'NoSuchUpload')
}

/** The answer was not waited for, did not come, or says nothing. */
function mayBeStored(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted || (statusOf(error) ?? 500) >= 500
}

async function isOurs({ client, Bucket, Key, token }: Writer): Promise<boolean> {
  try {
    const { Metadata } = await client.send(new HeadObjectCommand({ Bucket, Key }), inShort())
    return Metadata?.[TOKEN] === token
  } catch {
    // What has happened before is told; an object that no receipt names is removed by the next run.
    return false
  }
}

async function removeOurs(writer: Writer): Promise<void> {
  const { client, Bucket, Key } = writer
  if (await isOurs(writer))
    await client.send(new DeleteObjectCommand({ Bucket, Key }), inShort()).catch(() => undefined)
}

/** Where something else has failed already. */
function inShort(): { readonly abortSignal: AbortSignal } {
  return { abortSignal: AbortSignal.timeout(CLEANUP_MS) }
}

function tooLarge(key: string): StoreError {
  return new StoreError(
    'refused',
    `the content of ${key} is larger than it was said to be at most, and would need more than ${MOST_PARTS} parts`,
    'Please report this: it is a fault of Ebb.',
  )
}

function md5(body: Buffer): string {
  return createHash('md5').update(body).digest('base64')
}
