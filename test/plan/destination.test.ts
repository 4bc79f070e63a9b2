import { describe, expect, test } from 'vitest'
import { objectUri, parseDestination, parseObjectUri, uriOf } from '../../src/plan/archive/destination.ts'
import { checkRecipient } from '../../src/plan/archive/recipient.ts'

const CWD = '/home/ebb'

function canonical(uri: string): string {
  return uriOf(parseDestination(uri, CWD))
}

describe('where archives are kept', () => {
  test.each([
    ['archive', 'file:///home/ebb/archive'],
    ['../a b#?%', 'file:///home/a%20b%23%3F%25'],
    ['/var/archive/', 'file:///var/archive'],
    ['./s3:x', 'file:///home/ebb/s3:x'],
    ['file:///var/a%20b', 'file:///var/a%20b'],
    ['FILE://localhost/var', 'file:///var'],
    ['s3://bucket', 's3://bucket'],
    ['S3://bucket//a%20b//c/', 's3://bucket/a%20b/c'],
    ['s3://bucket/a?region=eu-central-1', 's3://bucket/a?region=eu-central-1'],
    ['s3://b.c-d/a?path-style=true', 's3://b.c-d/a?path-style=true'],
    [
      's3://bucket?path-style=true&endpoint=http%3A%2F%2F127.0.0.1%3A9000&region=r',
      's3://bucket?region=r&endpoint=http://127.0.0.1:9000',
    ],
    [
      's3://bucket?endpoint=https://s3.example.com&path-style=false',
      's3://bucket?endpoint=https://s3.example.com&path-style=false',
    ],
    [
      's3://bucket?object-lock-days=10&object-lock-mode=COMPLIANCE&sse=aws:kms&sse-kms-key-id=arn:aws:kms:r:1:key/2&storage-class=GLACIER_IR',
      's3://bucket?storage-class=GLACIER_IR&sse=aws:kms&sse-kms-key-id=arn:aws:kms:r:1:key/2&object-lock-mode=COMPLIANCE&object-lock-days=10',
    ],
  ])('%s is %s', (written, uri) => {
    expect(canonical(written)).toBe(uri)
    expect(canonical(uri)).toBe(uri)
  })

  test.each([
    ['', 'no destination is named'],
    ['a\0b', 'no destination is named'],
    ['https://example.com/x', "archives cannot be kept at 'https:'"],
    ['gs://bucket', "archives cannot be kept at 'gs:'"],
    ['file://host/dir', 'a file URI names a directory of this machine'],
    ['file:dir', 'a file URI names a directory of this machine'],
    ['file:///dir?region=x', 'a file URI names a directory of this machine'],
    ['file:///a%2Fb', 'the file URI cannot be read as a path'],
    ['s3:bucket', 'this is not a URI of a bucket'],
    ['s3://', "'' is not a name of a bucket"],
    ['s3://b/x#y', 'this is not a URI of a bucket'],
    ['s3://bucket/a/../b', "'.' and '..' are no folders in a bucket"],
    ['s3://bucket/%2e%2e', "'.' and '..' are no folders in a bucket"],
    ['s3://bucket/100%', 'a % in the URI is not followed by two digits'],
    ['s3://bucket?regio=x', "'regio' is not an option of a bucket"],
    ['s3://bucket?region=', 'region is empty'],
    ['s3://bucket?region=a&region=b', 'region is given twice'],
    ['s3://bucket?path-style=yes', "'yes' is not possible for path-style"],
    ['s3://bucket?endpoint=example.com', 'the endpoint is not an address of a server'],
    ['s3://bucket?endpoint=ftp://example.com', 'the endpoint is not an address of a server'],
    ['s3://bucket?sse-kms-key-id=k', 'sse-kms-key-id says nothing without sse=aws:kms'],
    ['s3://bucket?sse=AES256&sse-kms-key-id=k', 'sse-kms-key-id says nothing without sse=aws:kms'],
    ['s3://bucket?object-lock-days=3', 'say nothing without each other'],
    ['s3://bucket?object-lock-days=0&object-lock-mode=COMPLIANCE', "'0' is not a number of days"],
    ['s3://bucket?storage-class=GLACIER', 'cannot be read back at once'],
    ['s3://bucket?storage-class=standard', "'standard' is not a storage class"],
  ])('%s is refused', (written, message) => {
    expect(() => canonical(written)).toThrow(message)
  })

  test('a mistyped option names the right one', () => {
    const next = (option: string) => {
      try {
        return canonical(`s3://bucket?${option}=x`)
      } catch (error) {
        return (error as { advice: { next: string } }).advice.next
      }
    }
    expect(next('regoin')).toBe('Write region=….')
    expect(next('pathstyle')).toBe('Write path-style=….')
    expect(next('storageClass')).toBe('Write storage-class=….')
    expect(next('colour')).toMatch(/^Options are region, endpoint, /)
  })

  test('credentials are refused, and not repeated', () => {
    for (const uri of [
      's3://AKIASECRET:hunter2@bucket/x',
      's3://AKIASECRET@bucket/x',
      's3://bucket?secret-access-key=hunter2',
      's3://bucket?accessKeyId=hunter2',
      's3://bucket?aws_access_key=hunter2',
      's3://bucket?session-token=hunter2',
      's3://bucket?X-Amz-Signature=hunter2',
      's3://bucket?endpoint=https://AKIASECRET:hunter2@s3.example.com',
    ]) {
      expect(() => canonical(uri)).toThrow('contains credentials')
      expect(() => canonical(uri)).not.toThrow(/hunter2|AKIASECRET/)
    }
  })

  test('an object is found by its URI alone', () => {
    const bucket = parseDestination(
      's3://bucket/p?region=r&endpoint=http://h:1&sse=AES256&storage-class=STANDARD_IA',
      CWD,
    )
    const uri = objectUri(bucket, 'public.a b/1/receipt.json')
    expect(uri).toBe('s3://bucket/p/public.a%20b/1/receipt.json?region=r&endpoint=http://h:1')
    const { destination, name } = parseObjectUri(uri, CWD)
    expect([uriOf(destination), name]).toEqual([
      's3://bucket/p/public.a%20b/1?region=r&endpoint=http://h:1',
      'receipt.json',
    ])
    const file = objectUri(parseDestination('/var/a b', CWD), 'x%2Fy/receipt.json')
    expect(file).toBe('file:///var/a%20b/x%252Fy/receipt.json')
    expect(parseObjectUri(file, CWD)).toEqual({
      destination: { scheme: 'file', path: '/var/a b/x%2Fy' },
      name: 'receipt.json',
    })
    expect(parseObjectUri('receipt.json', CWD).destination).toEqual({ scheme: 'file', path: CWD })
    expect(parseObjectUri('/receipt.json', CWD).destination).toEqual({ scheme: 'file', path: '/' })
    expect(parseObjectUri('s3://bucket/receipt.json', CWD)).toMatchObject({
      destination: { prefix: '' },
      name: 'receipt.json',
    })
    expect(() => parseObjectUri('s3://bucket', CWD)).toThrow('names no object')
  })
})

describe('a recipient of age', () => {
  const GOOD = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p'

  test('has a checksum', () => {
    expect(checkRecipient(GOOD)).toBe(GOOD)
    for (let at = 4; at < GOOD.length; at++) {
      const wrong = GOOD.slice(0, at) + (GOOD[at] === 'q' ? 'p' : 'q') + GOOD.slice(at + 1)
      expect(() => checkRecipient(wrong)).toThrow('is not a recipient of age')
    }
  })

  test.each(['', 'age1', GOOD.toUpperCase(), `${GOOD} `, GOOD.slice(0, -1), 'ssh-ed25519 AAAA'])(
    'is not %j',
    (text) => {
      expect(() => checkRecipient(text)).toThrow('is not a recipient of age')
    },
  )

  test('is not an identity, which is not repeated', () => {
    const secret = `AGE-SECRET-KEY-1${'Q'.repeat(58)}`
    expect(() => checkRecipient(secret)).toThrow('this is an identity')
    expect(() => checkRecipient(secret)).not.toThrow('QQQ')
  })
})
