import { raw, sql, type Sql } from '../../src/sql/sql.ts'

// Values that go wrong most easily when rows are written in one format and read in another, by type.

export interface ValueCase {
  readonly type: string
  /** As literals; each column also has NULL. */
  readonly values: readonly string[]
  /** How DuckDB names the type in which Parquet holds all of them exactly. */
  readonly parquet: string
}

const TEXTS = [
  '',
  ' ',
  'NULL',
  'null',
  '\\.',
  '\\N',
  'a,b',
  'say "so"',
  "it's",
  'a\nb',
  'a\r\nb',
  '\t',
  '# no',
  'ünï𝄞',
  '{x}',
  '""',
]

export const VALUE_CASES: readonly ValueCase[] = [
  one('smallint', ['-32768', '0', '32767'], 'SMALLINT'),
  one('integer', ['-2147483648', '2147483647'], 'INTEGER'),
  one('bigint', ['-9223372036854775808', '9223372036854775807', '9007199254740993'], 'BIGINT'),
  one('boolean', ['true', 'false'], 'BOOLEAN'),
  one(
    'real',
    [
      '0',
      '-0',
      'NaN',
      'Infinity',
      '-Infinity',
      '3.4028235e38',
      '-1e-45',
      '0.1',
      '100000',
      '1e6',
      '-1234567',
      '16777216',
      '1e-4',
      '1e-5',
      '9.999999e9',
      '1e15',
      '3e16',
    ],
    'FLOAT',
  ),
  one(
    'double precision',
    [
      '0',
      '-0',
      'NaN',
      'Infinity',
      '-Infinity',
      '1.7976931348623157e308',
      '5e-324',
      '0.1',
      '1e14',
      '999999999999999',
      '1e15',
      '-1234567890123456',
      '9007199254740993',
      '1234567890123456.5',
      '1e16',
      '12345678901234567890',
      '1e-4',
      '1e-5',
      '0.30000000000000004',
    ],
    'DOUBLE',
  ),
  // PostgreSQL writes 9.999999999999999e+22, and others 1e+23 for the same number.
  one('double precision', ['1e23'], 'VARCHAR'),
  one('numeric(18,4)', ['0', '-0.0001', '99999999999999.9999'], 'DECIMAL(18,4)'),
  one('numeric(38,0)', ['9'.repeat(38), `-${'9'.repeat(38)}`], 'DECIMAL(38,0)'),
  one('numeric(4,4)', ['0.0001', '-0.5'], 'DECIMAL(5,4)'),
  one('numeric(18,4)', ['1', 'NaN'], 'VARCHAR'),
  one('numeric(38,38)', ['0.1'], 'VARCHAR'),
  one('numeric(50,2)', ['9'.repeat(48)], 'VARCHAR'),
  one(
    'numeric',
    [
      '1.0',
      '1.00',
      'NaN',
      `1e${'9'.repeat(4)}`,
      `0.${'0'.repeat(99)}1`,
      '-12345678901234567890123456789012345678901234567890.5',
    ],
    'VARCHAR',
  ),
  one('money', ['-92233720368547758.08', '1000.5'], 'VARCHAR'),
  one('date', ['2026-11-29', '0001-01-01', '9999-12-31', '12345-01-01', '5874897-12-31'], 'DATE'),
  one('date', ['2026-11-29', 'infinity'], 'VARCHAR'),
  one('date', ['0044-03-15 BC'], 'VARCHAR'),
  one(
    'timestamp',
    ['2026-11-29 12:00:00.000001', '0001-01-01', '12345-01-01 00:00:00.5', '294246-12-31 23:59:59.999999'],
    'TIMESTAMP',
  ),
  one('timestamp', ['-infinity'], 'VARCHAR'),
  one('timestamp', ['0044-03-15 12:00:00 BC', '294276-12-31 23:59:59.999999'], 'VARCHAR'),
  one('timestamp(0)', ['2026-11-29 12:00:01'], 'TIMESTAMP'),
  one(
    'timestamptz',
    ['2026-11-29 12:00:00.123456+05:30', '1890-01-01 00:00:00+00', '2026-07-01 00:00:00.1+02'],
    'TIMESTAMP WITH TIME ZONE',
  ),
  one('timestamptz', ['infinity', '-infinity', '2026-01-01'], 'VARCHAR'),
  one('timestamptz', ['4713-11-24 00:00:00+00 BC'], 'VARCHAR'),
  one('time', ['00:00:00', '23:59:59.999999', '12:00:00.5'], 'TIME'),
  one('time', ['24:00:00'], 'VARCHAR'),
  one('timetz', ['12:00:00+05:30', '24:00:00-15:59'], 'VARCHAR'),
  one('interval', ['1 year 2 mons -3 days 04:05:06.789', '-00:00:00.000001', '178000000 years'], 'VARCHAR'),
  one('uuid', ['00000000-0000-0000-0000-000000000000', 'FFFFFFFF-FFFF-4FFF-8FFF-FFFFFFFFFFFF'], 'UUID'),
  one('bytea', ['', '\\x00', '\\x00ff2c220a0d5c2e', '\\x7f'], 'BLOB'),
  one('text', TEXTS, 'VARCHAR'),
  one('varchar(20)', TEXTS, 'VARCHAR'),
  one('char(6)', ['a', 'a b', ''], 'VARCHAR'),
  one('name', ['pg_class'], 'VARCHAR'),
  one('"char"', ['a', '\\200'], 'VARCHAR'),
  one('json', ['{"a":  1, "a": 2}', '[1.000000000000000000000000000001, 1e400]', '"\\u00fc"', 'null', ' {} '], 'JSON'),
  one('json', ['"\\ud800"', '"\\u0000"'], 'VARCHAR'),
  one(
    'jsonb',
    [
      '{"b": [1, {"c": null}], "a": "\\"x\\""}',
      `${'['.repeat(500)}${']'.repeat(500)}`,
      '123456789012345678901234567890.123',
      '""',
    ],
    'JSON',
  ),
  one('integer[]', ['{}', '{1,NULL,-3}'], 'INTEGER[]'),
  one('integer[]', ['{{1,2},{3,4}}', '[0:1]={5,6}'], 'VARCHAR'),
  one('boolean[]', ['{t,f,NULL}'], 'BOOLEAN[]'),
  one('uuid[]', ['{00000000-0000-0000-0000-000000000000,NULL}'], 'UUID[]'),
  one('numeric(10,2)[]', ['{1.5,-0.01,NULL}'], 'DECIMAL(10,2)[]'),
  one('double precision[]', ['{1,-0,NaN,Infinity,1e15}'], 'DOUBLE[]'),
  one('date[]', ['{2026-11-29,NULL}'], 'DATE[]'),
  one('timestamp[]', ['{"2026-11-29 12:00:00.5",NULL}'], 'TIMESTAMP[]'),
  one('timestamptz[]', ['{"2026-11-29 12:00:00.5+00",NULL}'], 'TIMESTAMP WITH TIME ZONE[]'),
  one('bytea[]', ['{"\\\\x00ff",NULL,"\\\\x"}'], 'BLOB[]'),
  one(
    'text[]',
    [
      '{}',
      '{NULL,"NULL","null",""," ","a,b","say \\"so\\"","back\\\\slash","{x}",it\'s,[y],(z),ünï,"a\nb"}',
      '{"a","b"}',
    ],
    'VARCHAR[]',
  ),
  one('text[]', ['{{a,b},{c,d}}', '{{{x}}}'], 'VARCHAR'),
  one('varchar(9)[]', ['{"a b",c}'], 'VARCHAR[]'),
  one('jsonb[]', ['{"{\\"a\\": [1, 2]}",NULL}'], 'JSON[]'),
  one('interval[]', ['{"1 day","-01:00:00"}'], 'VARCHAR'),
  one('box[]', ['{(1,1),(0,0);(2,2),(1,1)}'], 'VARCHAR'),
  one('int4range', ['empty', '[1,5)', '(,)', '[1,)'], 'VARCHAR'),
  one('tstzrange', ['["2026-01-01 00:00:00+00",infinity)'], 'VARCHAR'),
  one('int4multirange', ['{}', '{[1,3),[5,7)}'], 'VARCHAR'),
  one('bit(3)', ['101'], 'VARCHAR'),
  one('varbit', ['', '0101'], 'VARCHAR'),
  one('inet', ['::1/128', '10.0.0.1/8'], 'VARCHAR'),
  one('macaddr', ['08:00:2b:01:02:03'], 'VARCHAR'),
  one('point', ['(1,-0)', '(NaN,Infinity)'], 'VARCHAR'),
  one('path', ['[(0,0),(1,1)]'], 'VARCHAR'),
  one('tsvector', ["'a':1A 'b c':2,3B"], 'VARCHAR'),
  one('tsquery', ["'a' & !'b'"], 'VARCHAR'),
  one('xml', ['<a b="1">&lt;</a>', 'text, not an element'], 'VARCHAR'),
  one('pg_lsn', ['16/B374D848'], 'VARCHAR'),
  one('oid', ['4294967295'], 'VARCHAR'),
  one('regclass', ['pg_class'], 'VARCHAR'),
  one('jsonpath', ['$."a"[*] ? (@ > 1)'], 'VARCHAR'),
  one('txid_snapshot', ['10:20:10,14'], 'VARCHAR'),
]

function one(type: string, values: readonly string[], parquet: string): ValueCase {
  return { type, values, parquet }
}

/** Types of a schema of its own, which a table can have, too. */
export function ownTypes(schema: string): { readonly create: readonly string[]; readonly cases: readonly ValueCase[] } {
  return {
    create: [
      `create type ${schema}.mood as enum ('so, so', 'NULL', '')`,
      `create type ${schema}.pair as (a int, b text)`,
      `create domain ${schema}.positive as int check (value > 0)`,
    ],
    cases: [
      one(`${schema}.mood`, ['so, so', 'NULL', ''], 'VARCHAR'),
      one(`${schema}.mood[]`, ['{"so, so",NULL,"NULL",""}'], 'VARCHAR'),
      one(`${schema}.pair`, ['(1,"a,b")', '(,)', '(,"")'], 'VARCHAR'),
      one(`${schema}.pair[]`, ['{"(1,\\"a,b\\")",NULL}'], 'VARCHAR'),
      one(`${schema}.positive`, ['1'], 'VARCHAR'),
    ],
  }
}

/** Statements that create a table with a column for each case, and its rows: the first has only NULLs. */
export function createValues(table: Sql, cases: readonly ValueCase[]): readonly string[] {
  const columns = cases.map(({ type }, i) => sql`${raw(columnOf(i))} ${raw(type)}`)
  const rows = Math.max(...cases.map(({ values }) => values.length))
  const row = (n: number) =>
    cases.map(({ values }) => (values[n] === undefined ? 'null' : `'${values[n].replaceAll("'", "''")}'`))
  return [
    `create table ${table.text} (id int primary key, ${columns.map(({ text }) => text).join(', ')})`,
    ...Array.from(
      { length: rows + 1 },
      (_, n) => `insert into ${table.text} values (${[n, ...row(n - 1)].join(', ')})`,
    ),
  ]
}

export function columnOf(position: number): string {
  return `c${position}`
}
