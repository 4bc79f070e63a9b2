import { expect, test } from 'vitest'
import { parseSize } from '../../src/cli/size.ts'

test.for([
  ['800 MB', 800_000_000],
  ['1.5TB', 1_500_000_000_000],
  ['2 GiB', 2 * 1024 ** 3],
  ['7k', 7_000],
  ['7 kB', 7_000],
  ['4096', 4096],
  ['0', 0],
] as const)('%s is %d bytes', ([text, bytes]) => {
  expect(parseSize(text)).toBe(bytes)
})

test.for(['', 'GB', '-1 GB', '1 XB', '1,5 GB', '1 GB free', '3iB', '1e9'])('"%s" is no size', (text) => {
  expect(() => parseSize(text)).toThrow(/is no size/)
})
