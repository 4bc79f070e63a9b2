import { expect, test } from 'vitest'
import { withoutCredentials } from '../../src/text/url.ts'

test.for([
  ['https://host/path', undefined],
  ['https://me:a%40b@host/path', 'me:a@b'],
  // A percent sign that stands for itself: `new URL` takes it, and decoding does not.
  ['https://me:100%@host/path', 'me:100%'],
])('credentials of %s', ([given, pair]) => {
  const { url, headers } = withoutCredentials(given!)
  expect(url.href).toBe('https://host/path')
  expect(headers.authorization).toBe(pair === undefined ? undefined : `Basic ${btoa(pair)}`)
})
