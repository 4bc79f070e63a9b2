import { expect, test } from 'vitest'
import { failureOf, withoutCredentials } from '../../src/text/url.ts'

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

test('why a fetch failed is told without its URL, of a port that fetch refuses, too', async () => {
  const reasonFor = (url: string) => fetch(url).then(() => '', failureOf)
  expect(await reasonFor('http://127.0.0.1:6000/secret')).toBe('fetch refuses this port')
  expect(await reasonFor('http://no.invalid/secret')).toMatch(/^E[A-Z_]+$/)
})
