import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

// Whoever meets a code looks it up on the page: each that the source can give is there.

const SOURCE = 'src'
const PAGE = 'docs/limits.md'

test('the page lists every code of a blocking issue', () => {
  const page = readFileSync(PAGE, 'utf8')
  const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  const codes = files.flatMap((file) => codesIn(readFileSync(join(SOURCE, file), 'utf8')))
  expect(codes.length).toBeGreaterThan(100)
  const missing = codes.filter((code) => !page.includes(`\`${code}${/[:-]$/.test(code) ? '' : '`'}`))
  expect([...new Set(missing)]).toEqual([])
})

/** As they are written: `objection('no-key', …)`, an object with a code and a fix, or a constant. What follows a colon is a name. */
function codesIn(source: string): string[] {
  const called = [...source.matchAll(/\bobjection\(\s*['`]([a-z][a-z0-9-]*:?)/g)]
  const written = [...source.matchAll(/\bcode: ['`]([a-z][a-z0-9-]*:?)[^\n]*\n?\s*what: (?=[\s\S]{0,500}fix)/g)]
  const named = source.matchAll(/\bconst code = ['`]([a-z][a-z0-9-]*:?)/g)
  return [...called, ...written, ...named].map(([, code = '']) => code)
}
