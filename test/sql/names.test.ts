import { describe, expect, test } from 'vitest'
import { companion, display, freeCompanion, LONGEST_NAME } from '../../src/sql/names.ts'

describe('companion', () => {
  test('truncates the base and never the suffix, nor within a character', () => {
    const name = companion('ü'.repeat(40), '_2026_12')

    expect(name).toBe(`${'ü'.repeat(27)}_2026_12`)
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(LONGEST_NAME)
  })

  test('keeps a short name', () => {
    expect(companion('events', '_history')).toBe('events_history')
  })
})

describe('freeCompanion', () => {
  test('counts up to a free name, and keeps the suffix whole', () => {
    const long = 'e'.repeat(63)
    const first = freeCompanion(long, '_history', new Set())
    const second = freeCompanion(long, '_history', new Set([first]))

    expect(first).toMatch(/e_history$/)
    expect(second).toMatch(/e_history_2$/)
    expect(Buffer.byteLength(second)).toBe(LONGEST_NAME)
  })
})

test.each([
  ['public', 'events', 'public.events'],
  ['We.ird', 'E"v', '"We.ird"."E""v"'],
  ['a', 'Ümläut', 'a."Ümläut"'],
])('%s and %s are shown as %s', (schema, name, shown) => {
  expect(display({ schema, name })).toBe(shown)
})
