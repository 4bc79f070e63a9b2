// Values that are easily changed on their way through text: one column for each type, one row for each value.

export interface AwkwardType {
  readonly type: string
  /** SQL expressions; a row beyond the last has null. */
  readonly values: readonly string[]
  /** From this major version on. */
  readonly since?: number
}

/** Types that have to be there first. */
export const OWN_TYPES = [
  `create type mood as enum ('good', 'so "so"', 'b,ad', '')`,
  `create domain percent as numeric check (value between 0 and 100)`,
  `create domain word as text collate "C" not null default '' check (value <> 'no')`,
  `create type pair as (a int, "b c" text, d timestamptz[])`,
  `create type span as range (subtype = float8)`,
]

export const AWKWARD: readonly AwkwardType[] = [
  { type: 'smallint', values: ['-32768', '32767', '0'] },
  { type: 'integer', values: ['-2147483648', '2147483647'] },
  { type: 'bigint', values: ['-9223372036854775808', '9223372036854775807'] },
  {
    type: 'numeric',
    values: [
      `'NaN'`,
      '0.00',
      '-0.000',
      `repeat('9', 400)::numeric`,
      `('0.' || repeat('0', 300) || '1')::numeric`,
      '1e131071',
    ],
  },
  { type: 'numeric', values: [`'Infinity'`, `'-Infinity'`], since: 14 },
  { type: 'numeric(12,4)', values: ['1.5', '-99999999.9999', '0'] },
  {
    type: 'real',
    values: [`'NaN'`, `'Infinity'`, `'-Infinity'`, `'-0'`, `'1e-45'`, `'3.4028235e38'`, `'0.1'`, `'16777217'`],
  },
  {
    type: 'double precision',
    values: [`'NaN'`, `'Infinity'`, `'-Infinity'`, `'-0'`, `'5e-324'`, `'1.7976931348623157e308'`, `'0.1'`, `'1e23'`],
  },
  { type: 'money', values: [`'-92233720368547758.08'`, `'0.01'`, `'1234567.89'`] },
  {
    type: 'text',
    values: [
      `''`,
      `'\\.'`,
      `E'\\\\.\\n\\\\.'`,
      `E'a\\nb\\r\\nc\\td'`,
      `'"quoted", "again"'`,
      `'NULL'`,
      `'\\N'`,
      `' x '`,
      `'#, // -- /*'`,
      `E'\\u00e9\\u0301 \\U0001F600 \\u200e'`,
      `E'\\u0001\\u001f\\u007f'`,
      `repeat('"', 9999)`,
    ],
  },
  { type: 'varchar(3)', values: [`'ab '`, `''`] },
  { type: 'character(4)', values: [`'ab'`, `''`, `'abcd'`] },
  { type: '"char"', values: [`'x'`, `''`] },
  { type: 'name', values: [`'a "b"'`] },
  { type: 'bytea', values: [`''`, `'\\x0001feff00'`, `'\\x5c2e'`, `decode(repeat('00ff', 5000), 'hex')`] },
  { type: 'boolean', values: ['true', 'false'] },
  {
    type: 'date',
    values: [`'4713-01-01 BC'`, `'5874897-12-31'`, `'infinity'`, `'-infinity'`, `'2025-02-01'`, `'0044-03-15 BC'`],
  },
  { type: 'time', values: [`'24:00'`, `'00:00:00.000001'`] },
  { type: 'timetz', values: [`'23:59:59.999999-15:59:59'`, `'01:02:03+05:30'`] },
  {
    type: 'timestamp',
    values: [`'0044-03-15 12:00 BC'`, `'294276-12-31 23:59:59.999999'`, `'infinity'`, `'-infinity'`],
  },
  {
    type: 'timestamptz',
    values: [
      `'1883-11-18 12:00:00+00'`,
      `'2026-10-25 01:30:00+00'`,
      `'2026-10-25 00:30:00+00'`,
      `'infinity'`,
      `'-infinity'`,
      `'0001-01-01 00:00:00+00 BC'`,
      `'2025-02-01 03:04:05.123456+00'`,
    ],
  },
  {
    type: 'interval',
    values: [
      `'-1 day -2:03:04'`,
      `'-1 day +2:03:04'`,
      `'1 year -2 mons 3 days -4:05:06.789'`,
      `'-178000000 years'`,
      `'0'`,
      `'-0.000001 sec'`,
      `'-1 mon'`,
    ],
  },
  { type: 'interval', values: [`'infinity'`, `'-infinity'`], since: 17 },
  { type: 'uuid', values: [`'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'`] },
  { type: 'json', values: [`'{"a" : 1, "a":2}'`, `'null'`, `'"\\u0041"'`] },
  {
    type: 'jsonb',
    values: [`'null'`, `'{"a": {"b": [1e400, null, "\\u2028", ""]}}'`, `(repeat('[', 500) || repeat(']', 500))::jsonb`],
  },
  { type: 'jsonpath', values: [`'$.a[*] ? (@ > 1)'`] },
  {
    type: 'xml',
    values: [
      `'<a b="c">d &amp; e</a>'`,
      `'text <b/> more'`,
      `'<?xml version="1.0"?><a/>'`,
      `'<?xml version="1.0" encoding="LATIN1" standalone="yes"?><a>ü</a>'`,
    ],
  },
  { type: 'xml[]', values: [`array['<?xml version="1.0"?><a/>', null, 'b']::xml[]`] },
  {
    type: 'integer[]',
    values: [`'{}'`, `'{NULL,1}'`, `'{{1,2},{3,4}}'`, `'[0:1]={5,6}'`, `'[-1:0][2:3]={{1,2},{3,4}}'`],
  },
  { type: 'text[]', values: [`array['NULL', null, '', '{', ',', '"', E'\\\\', E'a\\nb', ' x ']`, `'{}'`] },
  { type: 'bytea[]', values: [`array['\\x00', '\\xff']::bytea[]`] },
  { type: 'timestamptz[]', values: [`array['infinity', null, '2025-02-01 00:00+00']::timestamptz[]`] },
  { type: 'interval[]', values: [`array['-1 day -2:03', '1 mon']::interval[]`] },
  { type: 'int4range', values: [`'empty'`, `'(,)'`, `'[1,5)'`, `'(,5)'`] },
  { type: 'numrange', values: [`'[1.10,2.200]'`, `'(,NaN]'`] },
  { type: 'tstzrange', values: [`'["2025-02-01 00:00+00",infinity)'`, `'(,"0044-03-15 00:00+00 BC"]'`] },
  { type: 'int4multirange', values: [`'{}'`, `'{[1,3),[5,)}'`], since: 14 },
  { type: 'span', values: [`'[-0,0.1)'`, `'(,Infinity)'`] },
  { type: 'bit(5)', values: [`B'00101'`] },
  { type: 'bit varying', values: [`B''`, `B'1'`] },
  { type: 'inet', values: [`'::1/0'`, `'10.1.2.3/8'`, `'::ffff:1.2.3.4'`] },
  { type: 'cidr', values: [`'10.0.0.0/8'`] },
  { type: 'macaddr', values: [`'08:00:2b:01:02:03'`] },
  { type: 'macaddr8', values: [`'08:00:2b:01:02:03:04:05'`] },
  { type: 'point', values: [`'(-0,NaN)'`, `'(Infinity,1e-300)'`] },
  { type: 'box', values: [`'(0.1,0.2),(-1,-2)'`] },
  { type: 'path', values: [`'[(0,0),(1,1.5)]'`, `'((0,0),(1,1))'`] },
  { type: 'circle', values: [`'<(0.1,0.2),3>'`] },
  { type: 'tsvector', values: [`'''a b'':1A,2B c ''it''''s'''`, `''`] },
  { type: 'tsquery', values: [`'a & !(b | ''c d'':*A) <2> e'`] },
  // Of eight digits: PostgreSQL 19 prints shorter ones with zeros before them, the same value as another text.
  { type: 'pg_lsn', values: [`'FFFFFFFF/FFFFFFF1'`] },
  { type: 'txid_snapshot', values: [`'10:20:10,14'`] },
  { type: 'oid', values: ['4294967295'] },
  { type: 'mood', values: [`'good'`, `'so "so"'`, `''`, `'b,ad'`] },
  { type: 'mood[]', values: [`array['', 'b,ad', null]::mood[]`] },
  { type: 'percent', values: ['0.50', '100'] },
  { type: 'word', values: [`''`, `'NULL'`] },
  {
    type: 'pair',
    values: [
      `row(null, '', array['infinity', null]::timestamptz[])`,
      `row(1, E'a "b", (c)\\n\\\\', null)`,
      `row(null, null, null)`,
    ],
  },
  { type: 'pair[]', values: [`array[row(1, 'x"', null), null]::pair[]`] },
]

/** Those that a server of this major version has. */
export function awkwardTypes(major: number): readonly AwkwardType[] {
  return AWKWARD.filter(({ since = 0 }) => since <= major)
}

export function awkwardTable(name: string, types: readonly AwkwardType[]): string[] {
  const most = Math.max(...types.map(({ values }) => values.length))
  const row = (i: number) => types.map(({ type, values }) => valueOf(type, values[i]))
  return [
    `create table ${name} (id int primary key, ${types.map(({ type }, i) => `"c ${i}" ${type}`).join(', ')})`,
    ...Array.from({ length: most }, (_, i) => `insert into ${name} values (${[i + 1, ...row(i)].join(', ')})`),
  ]
}

// A domain that is not null has no null.
function valueOf(type: string, value: string | undefined): string {
  return value === undefined ? (type === 'word' ? `''` : 'null') : `(${value})::${type}`
}

/** All values as text, of whatever type the columns are, under the settings of the session. */
export function awkwardContent(name: string, types: readonly AwkwardType[]): string {
  return `select id, array[${types.map((_, i) => `"c ${i}"::text`).join(', ')}] as values from ${name} order by id`
}

/** Settings of a role, by which it reads and writes text. */
export const AWKWARD_SETTINGS: readonly Readonly<Record<string, string>>[] = [
  {},
  {
    DateStyle: 'SQL,DMY',
    IntervalStyle: 'sql_standard',
    TimeZone: 'Asia/Kolkata',
    bytea_output: 'escape',
    extra_float_digits: '0',
    array_nulls: 'off',
    xmloption: 'document',
    client_encoding: 'LATIN1',
  },
  {
    DateStyle: 'German',
    IntervalStyle: 'iso_8601',
    TimeZone: 'America/St_Johns',
    extra_float_digits: '-15',
    client_encoding: 'SJIS',
  },
  { DateStyle: 'Postgres,MDY', IntervalStyle: 'postgres_verbose', TimeZone: 'Europe/London', bytea_output: 'escape' },
]
