import { describe, expect } from 'vitest'
import { harmless, isPlain, oneLine } from '../../src/text/comment.ts'
import { spelledOut, statementComment } from '../../src/sql/spelled-out.ts'
import { ident, literal } from '../../src/sql/sql.ts'
import { test } from '../support/database.ts'

/** ESC, BEL, CR, tab, a break, C1's CSI, bidi, separators. */
const EVIL = 'a\u001b[31m\u0007\r\t\nb\u009b\u202e\u2066\u200f\u061c\u2028\u2029c\\d"e\'f'

describe('control characters', () => {
  test('are escaped, and a line stays one', () => {
    expect(harmless('a\u001b[2K\u202e\tb\nc')).toBe('a\\x1b[2K\\u202e\tb\nc')
    expect(oneLine('a\u001b[2K\u009b\tb\nc')).toBe('a\\x1b[2K\\x9b\\x09b\\x0ac')
    expect(isPlain(oneLine(EVIL))).toBe(true)
  })

  test('are removed from a statement without changing its meaning', async ({ database }) => {
    const session = await database.session('s')
    const odd = ident(EVIL).text
    const body = `begin\r\n\treturn ${literal(`${EVIL} in a body`).text};\r\nend`
    const statements = [
      `create table ${odd} (${odd} text default ${literal(EVIL).text}, b text default E'\\'x\u001b\\\\\n')`,
      `insert into ${odd} default values`,
      `comment on table ${odd} is ${literal(`two\nlines, and 'quotes'`).text}`,
      `create function f() returns text language plpgsql as $_1$${body}$_1$ -- not a ' beginning`,
    ]
    const printed = statements.map(spelledOut)
    for (const statement of printed) expect(isPlain(statement)).toBe(true)
    expect(spelledOut(`select ${odd}`)).toContain(String.raw`U&"a\001b[31m\0007\000d\0009\000ab\009b\202e`)

    for (const statement of printed) await session.query(statement)
    const { rows } = await session.query(
      `select *, f(), obj_description(${literal(odd).text}::regclass) as comment from ${odd}`,
    )
    expect(rows).toEqual([
      { [EVIL]: EVIL, b: "'x\u001b\\\n", f: `${EVIL} in a body`, comment: `two\nlines, and 'quotes'` },
    ])
    const { rows: functions } = await session.query(`select prosrc from pg_proc where proname = 'f'`)
    expect(functions).toEqual([{ prosrc: body }])
  })

  test('are all that is changed', () => {
    for (const statement of [
      `select 'it''s', E'a\\'b', "x""y", $$ it's "$1 $$, $a$ $$ $a$, a$b$c, 1 -- don't "\n, /* ' */ 'x'`,
      `create function f() returns int language sql as $function$\r\n\tselect 1 -- isn't\r\n$function$`,
      `select u&"a\\000ab", U&'x'`,
      `where (at < '2026-01-01'\n)`,
    ])
      expect(spelledOut(statement)).toBe(statement)
  })

  test('do not begin a line of a function that names them', () => {
    expect(spelledOut('as $$ begin perform old."a\n-- done" ; end $$')).toBe(
      String.raw`as  E' begin perform old."a\u000a-- done" ; end '`,
    )
  })

  test('do not begin a line of a statement as a comment', () => {
    expect(statementComment('select "a\nb"\nfrom c', '  ')).toEqual(['--   select U&"a\\000ab"', '--   from c'])
  })
})
