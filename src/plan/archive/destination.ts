import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { UsageError } from '../../errors.ts'
import { nearest } from '../../text/nearest.ts'

// Where archives are kept, as a URI says it. A URI is stored in the journal, in receipts and in logs, so it never holds
// credentials: one that does is refused, and no part of it is repeated.

export type Destination = DirectoryDestination | BucketDestination

export interface DirectoryDestination {
  readonly scheme: 'file'
  readonly path: string
}

export interface BucketDestination {
  readonly scheme: 's3'
  readonly bucket: string
  /** Without slashes at its ends; empty for the whole bucket. */
  readonly prefix: string
  /** Null: as the environment of the SDK says. */
  readonly region: string | null
  /** Of a server that is not Amazon's. */
  readonly endpoint: string | null
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`. */
  readonly pathStyle: boolean
  readonly storageClass: string | null
  readonly sse: string | null
  readonly sseKmsKeyId: string | null
  readonly objectLock: ObjectLock | null
}

export interface ObjectLock {
  readonly mode: 'GOVERNANCE' | 'COMPLIANCE'
  readonly days: number
}

const EXAMPLES = 'Write a directory, file:///var/archive or s3://bucket/prefix?region=eu-central-1.'

/** Reads `file:///dir`, `s3://bucket/prefix?…`, or a directory, relative to `cwd`. @throws {UsageError} */
export function parseDestination(uri: string, cwd: string): Destination {
  const [, scheme] = /^([a-z][a-z0-9+.-]+):/i.exec(uri) ?? []
  switch (scheme?.toLowerCase()) {
    case undefined:
      return parsePath(uri, cwd)
    case 'file':
      return parseFile(uri)
    case 's3':
      return parseBucket(uri)
    default:
      throw new UsageError(
        `archives cannot be kept at '${scheme}:'`,
        `${EXAMPLES} A directory with a colon in its name is written ./name.`,
      )
  }
}

/** The same as a URI: absolute, options in a fixed order, so that equal destinations are equal as text. */
export function uriOf(destination: Destination): string {
  if (destination.scheme === 'file') return pathToFileURL(destination.path).href
  const { storageClass, sse, sseKmsKeyId, objectLock } = destination
  return bucketUri(destination, '', {
    'storage-class': storageClass,
    sse,
    'sse-kms-key-id': sseKmsKeyId,
    'object-lock-mode': objectLock?.mode ?? null,
    'object-lock-days': objectLock === null ? null : String(objectLock.days),
  })
}

/** The URI of an object: with what it takes to find it, not with how objects are stored. */
export function objectUri(destination: Destination, name: string): string {
  if (destination.scheme === 's3') return bucketUri(destination, name, {})
  return pathToFileURL(`${destination.path.replace(/\/$/, '')}/${name}`).href
}

/** The folder of an object, as a place of its own, and the object's name in it. @throws {UsageError} */
export function parseObjectUri(uri: string, cwd: string): { readonly destination: Destination; readonly name: string } {
  const whole = parseDestination(uri, cwd)
  const [, folder = '', name = ''] =
    /^(.*?)[/\\]?([^/\\]*)$/s.exec(whole.scheme === 'file' ? whole.path : whole.prefix) ?? []
  if (name === '') throw new UsageError('the URI names no object', 'Add the name of the object, such as receipt.json.')
  const destination: Destination =
    whole.scheme === 'file' ? { ...whole, path: folder === '' ? '/' : folder } : { ...whole, prefix: folder }
  return { destination, name }
}

function parsePath(path: string, cwd: string): DirectoryDestination {
  if (path !== '' && !path.includes('\0')) return { scheme: 'file', path: resolve(cwd, path) }
  throw new UsageError('no destination is named', EXAMPLES)
}

function parseFile(uri: string): DirectoryDestination {
  if (!/^file:\/\/(?:localhost)?\/[^?#]*$/i.test(uri))
    throw new UsageError(
      "a file URI names a directory of this machine, from its root, and has no options: 'file:///var/archive'",
      'Write file:/// and the path, with ? as %3F and # as %23; or only the path.',
    )
  try {
    return { scheme: 'file', path: resolve(fileURLToPath(new URL(uri))) }
  } catch (error) {
    throw new UsageError('the file URI cannot be read as a path', 'Write the path without file://.', error)
  }
}

function parseBucket(uri: string): BucketDestination {
  const [, bucket, path = '', query = ''] = /^s3:\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?$/i.exec(uri) ?? []
  if (bucket === undefined)
    throw new UsageError('this is not a URI of a bucket', 'Write s3://bucket/prefix, with # as %23.')
  if (/[@:]/.test(bucket)) throw credentialsIn('the URI')
  if (!/^[a-z0-9][a-z0-9._-]{1,253}[a-z0-9]$/i.test(bucket))
    throw new UsageError(`'${bucket}' is not a name of a bucket`, 'Write s3://bucket/prefix.')
  return { scheme: 's3', bucket, prefix: parsePrefix(path), ...parseOptions(query) }
}

function parsePrefix(path: string): string {
  const folders = path
    .split('/')
    .filter((folder) => folder !== '')
    .map(decoded)
  if (folders.some((folder) => folder === '.' || folder === '..'))
    throw new UsageError("'.' and '..' are no folders in a bucket", 'Write the prefix without them.')
  return folders.join('/')
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (error) {
    throw new UsageError('a % in the URI is not followed by two digits', 'Write % itself as %25.', error)
  }
}

const OPTIONS = [
  'region',
  'endpoint',
  'path-style',
  'storage-class',
  'sse',
  'sse-kms-key-id',
  'object-lock-mode',
  'object-lock-days',
] as const

type BucketOption = (typeof OPTIONS)[number]

/** Names under which credentials are given elsewhere. */
const CREDENTIALS = /secret|token|password|credential|access.?key|signature|^x-amz-/i

function parseOptions(query: string): Omit<BucketDestination, 'scheme' | 'bucket' | 'prefix'> {
  const given = readQuery(query)
  const endpoint = given.get('endpoint') ?? null
  if (endpoint !== null) checkEndpoint(endpoint)
  const sse = oneOf('sse', given.get('sse'), ['AES256', 'aws:kms', 'aws:kms:dsse'])
  const sseKmsKeyId = given.get('sse-kms-key-id') ?? null
  if (sseKmsKeyId !== null && sse !== 'aws:kms' && sse !== 'aws:kms:dsse')
    throw new UsageError('sse-kms-key-id says nothing without sse=aws:kms', 'Add sse=aws:kms, or omit the key.')
  return {
    region: given.get('region') ?? null,
    endpoint,
    pathStyle:
      (oneOf('path-style', given.get('path-style'), ['true', 'false']) ?? String(endpoint !== null)) === 'true',
    storageClass: checkStorageClass(given.get('storage-class') ?? null),
    sse,
    sseKmsKeyId,
    objectLock: parseLock(given),
  }
}

function readQuery(query: string): Map<BucketOption, string> {
  const given = new Map<BucketOption, string>()
  for (const [key, value] of new URLSearchParams(query)) {
    const known = OPTIONS.find((option) => option === key)
    if (known === undefined) throw unknownOption(key)
    if (value === '' || given.has(known))
      throw new UsageError(`${key} ${value === '' ? 'is empty' : 'is given twice'}`, `Write ${key}=… once.`)
    given.set(known, value)
  }
  return given
}

function unknownOption(key: string): UsageError {
  if (CREDENTIALS.test(key)) return credentialsIn('the URI')
  const meant = nearest(key, OPTIONS)
  return new UsageError(
    `'${key}' is not an option of a bucket`,
    meant === null ? `Options are ${OPTIONS.join(', ')}.` : `Write ${meant}=….`,
  )
}

function credentialsIn(what: string): UsageError {
  return new UsageError(
    `${what} contains credentials, which would be stored in receipts and in the journal`,
    'Omit them, and provide them as for any program of AWS: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the role of the machine.',
  )
}

function checkEndpoint(endpoint: string): void {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null
  if (url !== null && `${url.username}${url.password}` !== '') throw credentialsIn('the endpoint')
  if (url === null || !/^https?:$/.test(url.protocol) || `${url.search}${url.hash}` !== '')
    throw new UsageError('the endpoint is not an address of a server', 'Write endpoint=https://s3.example.com.')
}

/** Objects of these classes can be read only hours after one has asked for it, so no archive could be read back. */
const COLD = ['GLACIER', 'DEEP_ARCHIVE']

function checkStorageClass(storageClass: string | null): string | null {
  if (storageClass === null || (/^[A-Z0-9_-]+$/.test(storageClass) && !COLD.includes(storageClass))) return storageClass
  if (COLD.includes(storageClass))
    throw new UsageError(
      `objects of the storage class ${storageClass} cannot be read back at once, so nothing would prove that they are stored`,
      'Write storage-class=GLACIER_IR or another one, and let a lifecycle rule of the bucket move the objects later.',
    )
  throw new UsageError(`'${storageClass}' is not a storage class`, 'Write it as storage-class=STANDARD_IA.')
}

const MOST_DAYS = 36_500

function parseLock(given: ReadonlyMap<BucketOption, string>): ObjectLock | null {
  const mode = oneOf('object-lock-mode', given.get('object-lock-mode'), ['GOVERNANCE', 'COMPLIANCE'])
  const days = given.get('object-lock-days') ?? null
  if (mode === null && days === null) return null
  if (mode === null || days === null)
    throw new UsageError(
      'object-lock-mode and object-lock-days say nothing without each other',
      'Write object-lock-mode=GOVERNANCE&object-lock-days=365, or omit both.',
    )
  if (!/^[1-9]\d{0,4}$/.test(days) || Number(days) > MOST_DAYS)
    throw new UsageError(`'${days}' is not a number of days`, `Write a number from 1 to ${MOST_DAYS}.`)
  return { mode, days: Number(days) }
}

function oneOf<Word extends string>(key: BucketOption, value: string | undefined, words: readonly Word[]): Word | null {
  if (value === undefined) return null
  const found = words.find((word) => word === value)
  if (found !== undefined) return found
  throw new UsageError(`'${value}' is not possible for ${key}`, `Write ${key}=${words.join(` or ${key}=`)}.`)
}

function bucketUri(
  { bucket, prefix, region, endpoint, pathStyle }: BucketDestination,
  name: string,
  storing: Readonly<Record<string, string | null>>,
): string {
  const path = [prefix, name]
    .filter((part) => part !== '')
    .join('/')
    .split('/')
    .map(encodeURIComponent)
    .join('/')
  const style = pathStyle === (endpoint !== null) ? null : String(pathStyle)
  const given = Object.entries({ region, endpoint, 'path-style': style, ...storing }).filter(
    (pair): pair is [string, string] => pair[1] !== null,
  )
  // These letters need no escape in a query, and endpoints and keys are full of them.
  const query = given.map(
    ([key, value]) => `${key}=${encodeURIComponent(value).replace(/%3A|%2F/g, decodeURIComponent)}`,
  )
  return `s3://${bucket}${path === '' ? '' : `/${path}`}${query.length === 0 ? '' : `?${query.join('&')}`}`
}
