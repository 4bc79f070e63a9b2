import { companion, quoted, type TableName } from '../../src/sql/names.ts'
import { raw, type Sql } from '../../src/sql/sql.ts'

// Tables whose rows each have a number `n`, from which the key is made, however it looks.

/** How the key of a table looks. */
export interface KeyShape {
  readonly title: string
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  /** The key of row `n`, as SQL; for a number, or a column that holds one. */
  readonly of: (n: number | string) => readonly string[]
  /** What no value of the first column is below, as SQL. */
  readonly least: string
  /** Otherwise a unique index over columns that cannot be null. */
  readonly primary: boolean
}

export const KEYS: readonly KeyShape[] = [
  { title: 'bigint', columns: [{ name: 'id', type: 'bigint' }], of: (n) => [`${n}`], least: '-1', primary: true },
  {
    title: 'composite',
    columns: [
      { name: 'Tenant', type: 'smallint' },
      { name: 'id', type: 'bigint' },
    ],
    of: (n) => [`(${n} % 5)::smallint`, `${n}`],
    least: '-10',
    primary: true,
  },
  {
    title: 'text',
    columns: [{ name: 'k', type: 'text' }],
    of: (n) => [`'Schlüssel "' || ${n}`],
    least: "''",
    primary: true,
  },
  {
    title: 'uuid',
    columns: [{ name: 'id', type: 'uuid' }],
    of: (n) => [`md5((${n})::text)::uuid`],
    least: "'00000000-0000-0000-0000-000000000000'",
    primary: true,
  },
  {
    title: 'natural',
    columns: [
      { name: 'region', type: 'varchar(20)' },
      { name: 'code', type: 'numeric(12, 2)' },
    ],
    of: (n) => [`chr((65 + ${n} % 26)::int)`, `${n}`],
    least: "''",
    primary: false,
  },
]

/** What else must not occur twice: the column `slot`. */
export const UNIQUES = {
  none: [],
  unique: ['unique (slot)'],
  deferred: ['unique (slot) deferrable initially deferred'],
  exclusion: ['exclude using gist (int8range(slot, slot + 1) with &&)'],
} as const

export type Uniqueness = keyof typeof UNIQUES

export interface HistoryShape {
  readonly key: KeyShape
  readonly uniqueness: Uniqueness
  /** In two partitions by the key's first column, the columns of one in another order. Then nothing else may be unique. */
  readonly spread?: boolean
}

/** Columns were dropped before the key, within and after; one is generated; HOT updates find room. */
export function createTable(table: TableName, { key, uniqueness, spread = false }: HistoryShape): Sql[] {
  const place = quoted(table).text
  const names = keyColumns(key)
  const columns = [
    'gone_first int',
    ...key.columns.map(({ name, type }) => `"${name}" ${type} not null`),
    'gone_between text',
    ...OTHERS,
    'gone_last int default 7',
  ]
  const constraints = [...(key.primary ? [`primary key (${names})`] : []), ...UNIQUES[uniqueness]]
  return [
    `create table ${place} (${[...columns, ...constraints].join(', ')}) ${spread ? `partition by hash ("${key.columns[0]?.name ?? ''}")` : ROOM}`,
    ...(key.primary ? [] : [`create unique index on ${place} (${names})`]),
    `create index on ${place} (kept, n)`,
    `alter table ${place} alter column big set storage external, drop column gone_first, drop column gone_between, drop column gone_last`,
    ...(spread ? createLeaves(table, key) : []),
  ].map((text) => raw(text))
}

const ROOM = 'with (fillfactor = 80)'

const OTHERS = [
  'n bigint not null',
  'val int not null',
  // It may be null as far as anybody knows, so it is never the key that rows are recognised by.
  'slot bigint',
  'kept boolean not null',
  'big text',
  "padding text not null default repeat('-', 250)",
  'twice bigint generated always as (val::bigint * 2) stored',
]

function createLeaves(table: TableName, key: KeyShape): string[] {
  const place = quoted(table).text
  const [first, second] = [0, 1].map((n) => quoted({ ...table, name: companion(table.name, `_${n}`) }).text)
  const columns = [...key.columns.map(({ name, type }) => `"${name}" ${type} not null`), ...OTHERS]
  return [
    `create table ${first} partition of ${place} for values with (modulus 2, remainder 0) ${ROOM}`,
    `create table ${second} (${columns.toReversed().join(', ')}) ${ROOM}`,
    `alter table ${place} attach partition ${second} for values with (modulus 2, remainder 1)`,
  ]
}

/** The names of the key's columns, as a list. */
export function keyColumns({ columns }: KeyShape): string {
  return columns.map(({ name }) => `"${name}"`).join(', ')
}

/** The condition that finds row `n`. */
export function keyIs(key: KeyShape, n: number | string): string {
  const values = key.of(n)
  return key.columns.map(({ name }, i) => `"${name}" = ${values[i] ?? 'null'}`).join(' and ')
}
