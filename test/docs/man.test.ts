import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { needed } from '../support/programs.ts'
import { PROJECT, readPage } from './pages.ts'

const PAGE = join(PROJECT, 'man', 'ebb.1')

test('the manual page is shown without a warning, and has every command and flag of docs/cli.md', ({ skip }) => {
  const man = needed('man', skip)
  const env = { ...process.env, MANWIDTH: '100', LC_ALL: 'C.UTF-8', MANPAGER: 'cat', MAN_KEEP_FORMATTING: '' }
  const shown = execFileSync(man, ['--warnings=all', '-l', PAGE], {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const words = shown.replace(/\s+/g, ' ')
  const cli = readPage('docs/cli.md')
  const named = [...cli.matchAll(/^## (ebb .*)$|^ {2}(--[a-z-]+)/gm)].map(([, command, flag]) => command ?? flag ?? '')
  expect(named.length).toBeGreaterThan(200)
  expect(named.filter((name) => !words.includes(name))).toEqual([])
  expect(words).toContain('NAME ebb - Online partitioning')
  expect(words).toContain('75 not possible now')
  expect(words).toContain('’')
})
