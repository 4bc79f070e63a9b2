import { messageOf } from '../../errors.ts'
import { StoreError, type StoreProblem } from '../store-error.ts'

interface Meaning {
  readonly problem: StoreProblem
  readonly what: string
  readonly next: string
}

const CREDENTIALS: Meaning = {
  problem: 'denied',
  what: 'does not accept the credentials',
  next: 'Check which ones the AWS SDK finds: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the role of the machine.',
}

const NO_CREDENTIALS: Meaning = {
  problem: 'denied',
  what: 'cannot be used, for no credentials were found',
  next: 'Provide them as for any program of AWS: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the role of the machine.',
}

const RIGHTS: Meaning = {
  problem: 'denied',
  what: 'denies this',
  next: 'Grant s3:PutObject, s3:GetObject and s3:ListBucket, s3:AbortMultipartUpload and s3:ListBucketMultipartUploads; s3:PutObjectRetention for object lock, and kms:GenerateDataKey and kms:Decrypt for a key of KMS.',
}

const NO_BUCKET: Meaning = {
  problem: 'no store',
  what: 'does not exist',
  next: 'Create the bucket, or check its name, the region and the endpoint.',
}

const ELSEWHERE: Meaning = {
  problem: 'no store',
  what: 'is in another region, or is addressed in another way',
  next: 'Name its region in the URI, ?region=eu-central-1; and for a server that is not of AWS, its endpoint.',
}

const FULL: Meaning = {
  problem: 'full',
  what: 'has no space left',
  next: 'Free space there, or raise its quota, then run the same command again.',
}

const AWAY: Meaning = {
  problem: 'unreachable',
  what: 'cannot be reached',
  next: 'Check the endpoint, the region and the network, then run the same command again.',
}

const DAMAGED: Meaning = {
  problem: 'damaged',
  what: 'has received something else than was sent',
  next: 'Run the same command again. If that happens often, look at what lies between: proxies, network, memory.',
}

const COLD: Meaning = {
  problem: 'denied',
  what: 'has moved the object to a storage class whose objects cannot be read at once',
  next: 'Have it restored (aws s3api restore-object), wait until it is, then run the same command again.',
}

/** By the code of the answer or the name of the SDK's error. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  NoSuchBucket: NO_BUCKET,
  InvalidBucketName: NO_BUCKET,
  PermanentRedirect: ELSEWHERE,
  AuthorizationHeaderMalformed: ELSEWHERE,
  IllegalLocationConstraintException: ELSEWHERE,
  AccessDenied: RIGHTS,
  AllAccessDisabled: RIGHTS,
  InvalidAccessKeyId: CREDENTIALS,
  SignatureDoesNotMatch: CREDENTIALS,
  InvalidToken: CREDENTIALS,
  ExpiredToken: { ...CREDENTIALS, what: 'says that the credentials have expired' },
  RequestTimeTooSkewed: {
    ...CREDENTIALS,
    what: 'says that the clock of this machine is wrong',
    next: 'Set the clock; requests are signed with the time.',
  },
  CredentialsProviderError: NO_CREDENTIALS,
  TokenProviderError: NO_CREDENTIALS,
  InvalidObjectState: COLD,
  BadDigest: DAMAGED,
  XAmzContentSHA256Mismatch: DAMAGED,
  InvalidPart: DAMAGED,
  QuotaExceeded: FULL,
  XMinioStorageFull: FULL,
  InsufficientStorage: FULL,
  ConditionalRequestConflict: { ...AWAY, what: 'says that somebody else is storing the same object' },
}

const OF_STATUS: Readonly<Record<number, Meaning>> = {
  301: ELSEWHERE,
  401: CREDENTIALS,
  403: RIGHTS,
  429: AWAY,
  507: FULL,
}

/** An error of the SDK, or of a server, about a bucket or something in it. */
export function s3Error(error: unknown, bucket: string): Error {
  if (error instanceof StoreError) return error
  const said = `${nameOf(error)}: ${messageOf(error)}`
  const known = noRegion(error) ?? MEANINGS[nameOf(error)] ?? byStatus(error)
  if (known !== null)
    return new StoreError(known.problem, `the bucket ${bucket} ${known.what} (${said})`, known.next, error)
  return new StoreError(
    'refused',
    `the server of the bucket ${bucket} refuses a request (${said})`,
    'Resolve what it says, then run the same command again.',
    error,
  )
}

/** The status of the answer; null if there was none. */
export function statusOf(error: unknown): number | null {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return null
  const { httpStatusCode } = error.$metadata as { readonly httpStatusCode?: number }
  return httpStatusCode ?? null
}

export function isAnswer(error: unknown, code: string): boolean {
  return nameOf(error) === code
}

/** Without an answer: no connection, or none in time. */
function byStatus(error: unknown): Meaning | null {
  const status = statusOf(error)
  if (status === null || status >= 500) return status === 507 ? FULL : AWAY
  return OF_STATUS[status] ?? null
}

function noRegion(error: unknown): Meaning | null {
  if (!/region is missing/i.test(messageOf(error))) return null
  return {
    problem: 'refused',
    what: 'cannot be used without a region',
    next: 'Add it to the URI, ?region=eu-central-1, or set AWS_REGION. Servers that are not of AWS mostly take us-east-1.',
  }
}

function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  return 'code' in error && typeof error.code === 'string' && statusOf(error) === null ? error.code : error.name
}
