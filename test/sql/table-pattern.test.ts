import { expect, test } from 'vitest'
import { parseTableChoice } from '../../src/sql/table-pattern.ts'

const PATTERNS: readonly (readonly [text: string, schema: string | null, name: string])[] = [
  ['*', null, '%'],
  ['audit.*', 'audit', '%'],
  ['Audit.Log_*', 'audit', 'log\\_%'],
  ['events_20??', null, 'events\\_20__'],
  ['"My.Schema".*', 'My.Schema', '%'],
  ['*.events', '%', 'events'],
  ['"Ev"*', null, 'Ev%'],
  ['a."50%_*"?', 'a', '50\\%\\_*_'],
  ['"say ""hi"""*', null, 'say "hi"%'],
]

test.each(PATTERNS)('%s is a pattern', (text, schema, name) => {
  expect(parseTableChoice(text)).toEqual({ pattern: text, schema, name })
})

test('a name is a name, and in quotes * and ? stand for themselves', () => {
  expect(parseTableChoice('Public.Events')).toEqual({ schema: 'public', name: 'events' })
  expect(parseTableChoice('audit."what?*"')).toEqual({ schema: 'audit', name: 'what?*' })
})

test.each(['a.b.*', 'audit.', '.*', '*.', '* *', 'a"*', 'x;*', '"".*'])('%s is neither', (text) => {
  expect(() => parseTableChoice(text)).toThrow(/is not a (pattern of table names|table name)/)
})
