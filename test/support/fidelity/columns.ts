import fc from 'fast-check'
import { ident } from '../../../src/sql/sql.ts'

// Columns of all kinds, beside those that features.ts builds on.

/** What a column may be declared as, with a value for row `n` and a default of that type. */
interface Kind {
  readonly type: string
  readonly value: string
  readonly default?: string
  /** `text`: takes a collation; `long`: takes a storage and a compression. */
  readonly takes?: 'text' | 'long'
}

const KINDS: readonly Kind[] = [
  { type: 'smallint', value: 'n', default: '-7' },
  { type: 'bigint', value: 'n', default: '(1 + length(version()))' },
  { type: 'numeric(10,2)', value: 'n / 3.0', default: "'NaN'" },
  { type: 'numeric', value: 'n / 7.0' },
  { type: 'real', value: 'n / 3.0', default: '0.1' },
  { type: 'double precision', value: 'n / 3.0', default: "'-Infinity'" },
  { type: 'boolean', value: 'n % 2 = 0', default: 'true' },
  { type: 'text', value: `'t' || n`, default: `'it''s "quoted" \\ text'`, takes: 'text' },
  { type: 'character varying(20)', value: `'v' || n`, default: `upper('x')`, takes: 'text' },
  { type: 'character(5)', value: `'c'`, default: `'c'`, takes: 'text' },
  { type: 'text[]', value: `array['a', null, 'c' || n]`, default: `'{}'`, takes: 'long' },
  { type: 'integer[]', value: 'array[n]', default: 'array[1, 2]', takes: 'long' },
  { type: 'bytea', value: `decode(to_hex(n + 4096), 'hex')`, default: `'\\x00ff'`, takes: 'long' },
  { type: 'jsonb', value: `jsonb_build_object('n', n)`, default: `'{"a": [1]}'`, takes: 'long' },
  { type: 'json', value: `'{"a":  1}'`, takes: 'long' },
  { type: 'uuid', value: `md5(n::text)::uuid`, default: 'gen_random_uuid()' },
  { type: 'date', value: `date '2026-01-01' + n`, default: 'current_date' },
  { type: 'time(3) without time zone', value: `'12:00'`, default: `'noon'::text::time` },
  { type: 'time with time zone', value: `'12:00+02'` },
  { type: 'timestamp(0) without time zone', value: `'2026-01-01'`, default: 'localtimestamp' },
  { type: 'timestamp with time zone', value: `'2026-01-01Z'`, default: `now() + interval '1 day'` },
  { type: 'interval day to second(2)', value: `interval '1 day'`, default: `'1 hour'` },
  { type: 'inet', value: `'::1'` },
  { type: 'cidr', value: `'10.0.0.0/8'` },
  { type: 'macaddr', value: `'08:00:2b:01:02:03'` },
  { type: 'xml', value: `'<a/>'`, takes: 'long' },
  { type: 'point', value: `point(n, n)`, default: `'(0,0)'` },
  { type: 'int8range', value: `int8range(n, n + 5)`, default: `'empty'` },
  { type: 'tstzmultirange', value: `'{[2026-01-01,2026-01-02)}'` },
  { type: 'tsvector', value: `to_tsvector('simple', 'a b')` },
  { type: 'bit(3)', value: `b'101'`, default: `b'000'` },
  { type: 'bit varying(5)', value: `b'11'` },
  { type: 'money', value: '3::money' },
  { type: 'name', value: `'n'`, default: 'current_user' },
  { type: '"char"', value: `'c'` },
  { type: 'oid', value: '5::oid' },
  { type: 'regclass', value: `'pg_catalog.pg_class'` },
  { type: 'pg_lsn', value: `'0/16'` },
  { type: 'public.mood', value: `'sad'`, default: `'happy'` },
  { type: 'public.mood[]', value: `'{sad,happy}'` },
  { type: 'public.pair', value: `format('(%s,x)', n)::public.pair`, default: `'(1,"a,b")'` },
  { type: 'public.pair[]', value: `array[format('(%s,x)', n)::public.pair]` },
  { type: 'public.positive', value: 'n', default: '5' },
  { type: 'public.shout', value: `'LOUD'` },
]

/** Types that the columns are of. */
export const TYPES = [
  `create type public.mood as enum ('sad', 'it''s ok', 'happy')`,
  `create type public.pair as (a int, b text)`,
  `create domain public.positive as int default 3 check (value > 0)`,
  `create domain public.shout as text collate "C" constraint loud check (value = upper(value)) not null`,
]

/** One column, with everything that can be said of it. */
export interface Column {
  readonly name: string
  readonly kind: Kind
  readonly notNull: boolean
  readonly default: boolean
  readonly collation: string | null
  readonly storage: string | null
  readonly compression: boolean
  readonly statistics: number | null
  readonly distinct: number | null
  readonly comment: string | null
  /** It is dropped again, and leaves a hole in the row. */
  readonly dropped: boolean
}

const rarely = <T>(value: fc.Arbitrary<T>) => fc.option(value, { freq: 3, nil: null })

const column: fc.Arbitrary<Omit<Column, 'name'>> = fc.record({
  kind: fc.constantFrom(...KINDS),
  notNull: fc.boolean(),
  default: fc.boolean(),
  collation: rarely(fc.constantFrom('C', 'POSIX')),
  storage: rarely(fc.constantFrom('external', 'extended', 'main', 'plain')),
  compression: fc.boolean(),
  statistics: rarely(fc.constantFrom(0, 10, 1000)),
  distinct: rarely(fc.constantFrom(-0.5, 7)),
  comment: rarely(fc.constantFrom('plain', `it's "quoted" \\ and\nin two lines`, 'Ünïcode; -- no comment')),
  dropped: fc.integer({ min: 0, max: 5 }).map((n) => n === 5),
})

const NAMES = [
  'x',
  'Capital',
  'two words',
  'quo"te',
  'select',
  'dot.ted',
  'ünïcode',
  'semi;colon',
  'percent%s',
  "apo'strophe",
]

export const columns: fc.Arbitrary<Column[]> = fc
  .array(column, { maxLength: 12 })
  .map((list) => list.map((one, position) => ({ ...one, name: `${NAMES[position % NAMES.length]}${position}` })))

/** Each kind once, with all its options. */
export const EVERY_COLUMN: readonly Column[] = KINDS.map((kind, position) => ({
  name: `${NAMES[position % NAMES.length]}${position}`,
  kind,
  notNull: position % 2 === 0,
  default: true,
  collation: 'C',
  storage: 'external',
  compression: true,
  statistics: 10 + position,
  distinct: -0.5,
  comment: `column's ${position}`,
  dropped: position % 7 === 3,
}))

/** As it stands in `create table`. */
export function declared({ name, kind, notNull, default: hasDefault, collation }: Column): string {
  const collated = collation !== null && kind.takes === 'text' ? ` collate "${collation}"` : ''
  const value = hasDefault && kind.default !== undefined ? ` default ${kind.default}` : ''
  return `${ident(name).text} ${kind.type}${collated}${value}${notNull ? ' not null' : ''}`
}

/** What is said of a column once its table is there. */
export function altered(table: string, column: Column): string[] {
  const { kind, storage, compression, statistics, distinct, comment } = column
  const name = ident(column.name).text
  const alter = (action: string) => `alter table ${table} alter column ${name} ${action}`
  const long = kind.takes !== undefined
  return [
    ...(storage !== null && long ? [alter(`set storage ${storage}`)] : []),
    ...(compression && long ? [alter('set compression pglz')] : []),
    ...(statistics === null ? [] : [alter(`set statistics ${statistics}`)]),
    ...(distinct === null ? [] : [alter(`set (n_distinct = ${distinct})`)]),
    ...(comment === null ? [] : [`comment on column ${table}.${name} is '${comment.replaceAll("'", "''")}'`]),
    ...(column.dropped ? [`alter table ${table} drop column ${name}`] : []),
  ]
}
