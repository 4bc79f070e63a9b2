import { expect, test } from 'vitest'
import { ident, join, literal, raw, sql } from '../../src/sql/sql.ts'

test('values become parameters, numbered across nested fragments', () => {
  const condition = sql`at < ${'2026-01-01'} and kind = ${'x'}`
  const query = sql`select ${1} from ${ident('My "s"', 't.x')} where ${condition} limit ${10}`

  expect(query.text).toBe('select $1 from "My ""s"""."t.x" where at < $2 and kind = $3 limit $4')
  expect(query.values).toEqual([1, '2026-01-01', 'x', 10])
})

test('a fragment can be used twice', () => {
  const value = sql`${7}`

  expect(sql`${value} + ${value}`.text).toBe('$1 + $2')
})

test('lists are joined, and an empty one is empty', () => {
  expect(join([ident('a'), ident('b')]).text).toBe('"a", "b"')
  expect(join([sql`a = ${1}`, sql`b = ${2}`], ' and ')).toMatchObject({ text: 'a = $1 and b = $2', values: [1, 2] })
  expect(join([]).text).toBe('')
})

test('literals are quoted, raw text is not', () => {
  expect(sql`comment is ${literal(`it's a \\ b`)} ${raw('-- x')}`.text).toBe(`comment is  E'it''s a \\\\ b' -- x`)
})
