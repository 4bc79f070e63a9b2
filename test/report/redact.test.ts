import { expect, test } from 'vitest'
import { redact } from '../../src/text/redact.ts'

test.each([
  ['postgres://u:secret@h/d', 'postgres://u:***@h/d'],
  ['postgresql://u:secret@h:5432/d?sslmode=require', 'postgresql://u:***@h:5432/d?sslmode=require'],
  ['at (postgres://u:secret@h/d) and postgres://v:other@h/d', 'at (postgres://u:***@h/d) and postgres://v:***@h/d'],
  ['postgres://:secret@h/d', 'postgres://:***@h/d'],
  ['postgres://u:se/cr@et@h/d', 'postgres://u:***@h/d'],
  ['mysql://u:secret@h/d', 'mysql://u:***@h/d'],
  ['host=h password=secret user=u', 'host=h password=*** user=u'],
  [`password='se cr\\'et' user=u`, 'password=*** user=u'],
  ['postgres://u@h/d?password=secret&sslmode=x', 'postgres://u@h/d?password=***&sslmode=x'],
  ['PGPASSWORD=secret ebb status', 'PGPASSWORD=*** ebb status'],
  ['postgres://u@h:5432/d', 'postgres://u@h:5432/d'],
  ['no password was given', 'no password was given'],
])('%s', (text, redacted) => {
  expect(redact(text)).toBe(redacted)
})
