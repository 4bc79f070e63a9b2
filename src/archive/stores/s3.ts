import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  paginateListObjectsV2,
  S3Client,
  type ListMultipartUploadsCommandInput,
  type ListMultipartUploadsCommandOutput,
  type PutObjectCommandInput,
} from '@aws-sdk/client-s3'
import { addAbortSignal, type Readable } from 'node:stream'
import { objectUri, uriOf, type BucketDestination } from '../../plan/archive/destination.ts'
import { checkName, UNFINISHED } from '../object-name.ts'
import { existsAlready, notThere } from '../store-error.ts'
import type { PutOptions, Store, StoredObject, UnfinishedObject } from '../store.ts'
import { contentOf, reasonOfPut } from './content.ts'
import { GuardedStream } from './guarded-stream.ts'
import { partSizeFor } from './parts.ts'
import { isAnswer, s3Error, statusOf } from './s3-error.ts'
import { abortUpload, upload } from './upload.ts'

/** How long a store is waited for. */
export interface S3Limits {
  readonly connectMs: number
  /** Until a request has been sent and its answer has begun. */
  readonly requestMs: number
  /** Without a byte of what is being read. */
  readonly idleMs: number
  /** Of each request. */
  readonly attempts: number
  /** Objects in a page of a list. */
  readonly pageSize: number
}

export const S3_LIMITS: S3Limits = {
  connectMs: 10_000,
  requestMs: 120_000,
  idleMs: 60_000,
  attempts: 4,
  pageSize: 1000,
}

/** Objects of a bucket, under a prefix. Credentials are those that the SDK finds by itself. */
export class S3Store implements Store {
  readonly uri: string
  private readonly destination: BucketDestination
  private readonly client: S3Client
  private readonly limits: S3Limits
  private readonly signal: AbortSignal

  constructor(destination: BucketDestination, signal: AbortSignal, limits: S3Limits = S3_LIMITS) {
    this.destination = destination
    this.uri = uriOf(destination)
    this.limits = limits
    this.signal = signal
    this.client = clientOf(destination, limits)
  }

  uriOf(name: string): string {
    return objectUri(this.destination, name)
  }

  async put(name: string, content: Readable, { atMost, signal }: PutOptions): Promise<void> {
    const stream = contentOf(content, signal)
    const { client } = this
    try {
      const target = { client, ...this.located(name), partSize: partSizeFor(atMost), signal }
      if (await this.isThere(name, signal)) throw existsAlready(this.uriOf(name))
      await upload({ ...target, properties: propertiesOf(this.destination) }, stream)
    } catch (error) {
      stream.destroy()
      throw reasonOfPut(error, signal, (problem) => this.told(problem, name))
    }
  }

  async get(name: string): Promise<Readable> {
    try {
      const { Body } = await this.client.send(new GetObjectCommand(this.located(name)), this.untilStopped)
      const told = (error: unknown) => this.told(error, name)
      return addAbortSignal(this.signal, new GuardedStream(Body as Readable, told, this.limits.idleMs))
    } catch (error) {
      throw this.told(error, name)
    }
  }

  async *list(prefix: string): AsyncIterable<StoredObject> {
    const request = { ...this.page(prefix), MaxKeys: this.limits.pageSize }
    const pages = paginateListObjectsV2({ client: this.client }, request, this.untilStopped)[Symbol.asyncIterator]()
    for (;;) {
      const { value: page, done } = await this.ask(() => pages.next())
      if (done === true) return
      for (const { Key = '', Size = 0 } of page.Contents ?? []) {
        // Consoles create objects that stand for folders.
        if (!Key.endsWith('/')) yield { name: this.nameOf(Key), bytes: Size }
      }
    }
  }

  async remove(name: string): Promise<void> {
    const located = this.located(name)
    try {
      await this.client.send(new DeleteObjectCommand(located), this.untilStopped)
    } catch (error) {
      if (!isAnswer(error, 'NoSuchKey')) throw this.told(error, name)
    }
  }

  async *unfinished(folder: string): AsyncIterable<UnfinishedObject> {
    if (folder.startsWith(UNFINISHED)) return // there are no files
    let from: Pick<ListMultipartUploadsCommandInput, 'KeyMarker' | 'UploadIdMarker'> | null = {}
    while (from !== null) {
      const page: ListMultipartUploadsCommandOutput | null = await this.uploads(folder, from)
      for (const { Key = '', UploadId = '', Initiated = new Date(0) } of page?.Uploads ?? [])
        yield { name: this.nameOf(Key), upload: UploadId, begunAt: Initiated }
      const { IsTruncated, NextKeyMarker, NextUploadIdMarker } = page ?? {}
      from = IsTruncated === true ? { KeyMarker: NextKeyMarker, UploadIdMarker: NextUploadIdMarker } : null
    }
  }

  async discard({ name, upload: UploadId }: UnfinishedObject): Promise<void> {
    if (UploadId !== null) await this.ask(() => abortUpload(this.client, { ...this.located(name), UploadId }))
  }

  async close(): Promise<void> {
    this.client.destroy()
  }

  /** Without the right to list a bucket one is not told what is missing; then the condition of the put alone decides. */
  private async isThere(name: string, abortSignal: AbortSignal): Promise<boolean> {
    try {
      await this.client.send(new HeadObjectCommand(this.located(name)), { abortSignal })
      return true
    } catch (error) {
      if (statusOf(error) === 404 || statusOf(error) === 403) return false
      throw error
    }
  }

  private located(name: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.destination.bucket, Key: this.prefixed(checkName(name)) }
  }

  private page(prefix: string): { readonly Bucket: string; readonly Prefix: string } {
    return { Bucket: this.destination.bucket, Prefix: this.prefixed(prefix) }
  }

  private prefixed(name: string): string {
    const { prefix } = this.destination
    return prefix === '' ? name : `${prefix}/${name}`
  }

  private nameOf(key: string): string {
    return key.slice(this.prefixed('').length)
  }

  /** A page; null where a server cannot tell. */
  private async uploads(folder: string, from: object): Promise<ListMultipartUploadsCommandOutput | null> {
    const request = { ...this.page(folder), MaxUploads: this.limits.pageSize, ...from }
    try {
      return await this.client.send(new ListMultipartUploadsCommand(request), this.untilStopped)
    } catch (error) {
      if (statusOf(error) === 501) return null
      throw this.toldOfBucket(error)
    }
  }

  private async ask<T>(send: () => Promise<T>): Promise<T> {
    try {
      return await send()
    } catch (error) {
      throw this.toldOfBucket(error)
    }
  }

  /** The server may be silent for minutes. */
  private get untilStopped(): { readonly abortSignal: AbortSignal } {
    return { abortSignal: this.signal }
  }

  private told(error: unknown, name: string): Error {
    if (statusOf(error) === 412) return existsAlready(this.uriOf(name), error)
    if (isAnswer(error, 'NoSuchKey')) return notThere(this.uriOf(name), error)
    return this.toldOfBucket(error)
  }

  private toldOfBucket(error: unknown): Error {
    return this.signal.aborted ? (this.signal.reason as Error) : s3Error(error, this.destination.bucket)
  }
}

function clientOf({ region, endpoint, pathStyle }: BucketDestination, limits: S3Limits): S3Client {
  return new S3Client({
    ...(region === null ? {} : { region }),
    ...(endpoint === null ? {} : { endpoint }),
    forcePathStyle: pathStyle,
    followRegionRedirects: true,
    maxAttempts: limits.attempts,
    // Checksums that not every server knows. What is sent has an MD5, and what is stored is read back.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // With a limit to requests, the SDK waits that long for a server that does not know what 100-continue is.
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: limits.connectMs,
      requestTimeout: limits.requestMs,
      throwOnRequestTimeout: true,
      // It cannot tell a reader that does not read from a server that does not send.
      socketTimeout: 0,
    },
  })
}

function propertiesOf(destination: BucketDestination): Partial<PutObjectCommandInput> {
  const { storageClass, sse, sseKmsKeyId, objectLock } = destination
  return {
    ...(storageClass === null
      ? {}
      : { StorageClass: storageClass as NonNullable<PutObjectCommandInput['StorageClass']> }),
    ...(sse === null
      ? {}
      : { ServerSideEncryption: sse as NonNullable<PutObjectCommandInput['ServerSideEncryption']> }),
    ...(sseKmsKeyId === null ? {} : { SSEKMSKeyId: sseKmsKeyId }),
    ...(objectLock === null
      ? {}
      : {
          ObjectLockMode: objectLock.mode,
          ObjectLockRetainUntilDate: new Date(Date.now() + objectLock.days * 86_400_000),
        }),
  }
}
