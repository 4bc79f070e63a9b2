// In which types of Parquet the values of a column are stored. A type is right for a value if PostgreSQL's text of it can
// be made again from what is stored, letter for letter; DuckDB tries each value as it writes it. All other values are
// stored as that text. The expressions are DuckDB's.

export interface ParquetType {
  /** As DuckDB names it. */
  readonly name: string
  /** The value of PostgreSQL's text; anything, or NULL, where that is not the text of one. */
  read(text: string): string
  /** PostgreSQL's text of a value; NULL of one that other programs would read as something else. */
  text(value: string): string
  /** In which texts PostgreSQL puts some of its values into quotes: nowhere, only within arrays, or in CSV too. */
  readonly quoted: 'never' | 'in arrays' | 'anywhere'
}

/** Text, of any type. */
export const TEXT: ParquetType = { name: 'VARCHAR', read: itself, text: itself, quoted: 'anywhere' }

/** The type for the values of a PostgreSQL type (`format_type`), as they are written under these settings. */
export function typeFor(type: string, settings: Readonly<Record<string, string>>): ParquetType {
  if (!type.endsWith('[]')) return typeOfElement(type, settings) ?? TEXT
  const element = type.slice(0, -2)
  // Within an array, PostgreSQL writes instants as the session's time zone has them.
  if (element.endsWith('with time zone') && settings.TimeZone !== 'UTC') return TEXT
  const found = typeOfElement(element, settings) ?? (STRINGS.test(element) ? TEXT : null)
  return found === null ? TEXT : listOf(found)
}

/** The type by its name in DuckDB; null if values of it are never stored. */
export function typeNamed(name: string): ParquetType | null {
  if (name.endsWith('[]')) {
    const element = typeNamed(name.slice(0, -2))
    return element === null ? null : listOf(element)
  }
  if (/^DECIMAL\(\d+,\d+\)$/.test(name)) return simple(name)
  return [...Object.values(PLAIN), ...Object.values(TIMES), BLOB, TEXT].find((one) => one.name === name) ?? null
}

/** Types whose values are stored as text, also in lists. Of others, lists might be divided elsewhere than at commas. */
const STRINGS = /^(?:text|character varying(?:\(\d+\))?|character(?:\(\d+\))?)$/

function typeOfElement(type: string, settings: Readonly<Record<string, string>>): ParquetType | null {
  const plain = PLAIN[type]
  if (plain !== undefined) return plain
  const time = TIMES[type.replace(/\(\d\)/, '')]
  if (time !== undefined) return (settings.DateStyle ?? 'ISO').startsWith('ISO') ? time : null
  if (type === 'bytea') return (settings.bytea_output ?? 'hex') === 'hex' ? BLOB : null
  return decimal(type)
}

const JSON_TYPE = simple('JSON', 'anywhere')

/** Whose text depends on no setting. */
const PLAIN: Readonly<Record<string, ParquetType>> = {
  smallint: simple('SMALLINT'),
  integer: simple('INTEGER'),
  bigint: simple('BIGINT'),
  boolean: {
    ...simple('BOOLEAN'),
    text: (value) => `case when ${value} then 't' when not ${value} then 'f' end`,
  },
  real: float('FLOAT', 6),
  'double precision': float('DOUBLE', 15),
  uuid: simple('UUID'),
  json: JSON_TYPE,
  jsonb: JSON_TYPE,
}

/** In the style ISO. Infinity is a number in Parquet, which others than DuckDB read as a date in the year 294247. */
const TIMES: Readonly<Record<string, ParquetType>> = {
  date: { ...simple('DATE'), text: (value) => `case when isfinite(${value}) then ${value}::varchar end` },
  'timestamp without time zone': {
    ...simple('TIMESTAMP', 'in arrays'),
    text: (value) => `case when isfinite(${value}) then ${value}::varchar end`,
  },
  'timestamp with time zone': {
    ...simple('TIMESTAMP WITH TIME ZONE', 'in arrays'),
    text: (value) => `case when isfinite(${value}) then make_timestamp(epoch_us(${value}))::varchar || '+00' end`,
  },
  'time without time zone': {
    ...simple('TIME'),
    text: (value) => `case when ${value} < time '24:00:00' then ${value}::varchar end`,
  },
}

const BLOB: ParquetType = {
  name: 'BLOB',
  read: (text) => `case when starts_with(${text}, '\\x') then unhex(substr(${text}, 3)) end`,
  text: (value) => `'\\x' || lower(hex(${value}))`,
  quoted: 'in arrays',
}

function itself(expression: string): string {
  return expression
}

/** Of which DuckDB and PostgreSQL have the same texts. */
function simple(name: string, quoted: ParquetType['quoted'] = 'never'): ParquetType {
  return {
    name,
    read: (text) => `try_cast(${text} as ${name})`,
    text: (value) => `${value}::varchar`,
    quoted,
  }
}

const MOST_DIGITS = 38

/** Numbers of one scale; others keep the digits after the point that each was written with. */
function decimal(type: string): ParquetType | null {
  const [, precision, scale] = (/^numeric\((\d+),(\d+)\)$/.exec(type) ?? []).map(Number)
  if (precision === undefined || scale === undefined || scale > precision) return null
  // Without a digit before the point DuckDB writes .5, and PostgreSQL 0.5.
  const digits = Math.max(precision, scale + 1)
  return digits > MOST_DIGITS ? null : simple(`DECIMAL(${digits},${scale})`)
}

/** Both write the fewest digits that are read as the same number; they differ in where an exponent begins. */
function float(name: string, digits: number): ParquetType {
  return {
    ...simple(name),
    text: (value) => {
      const text = `${value}::varchar`
      return `case when isnan(${value}) then 'NaN'
        when isinf(${value}) then replace(${text}, 'inf', 'Infinity')
        when abs(${value}) >= 1e${digits} and not contains(${text}, 'e') then ${scientific(text)}
        when ends_with(${text}, '.0') then left(${text}, length(${text}) - 2)
        else ${text} end`
    },
  }
}

/** 1234567.0 as 1.234567e+06. */
function scientific(text: string): string {
  const unsigned = `ltrim(${text}, '-')`
  const digits = `rtrim(replace(${unsigned}, '.', ''), '0')`
  const exponent = `lpad((position('.' in ${unsigned}) - 2)::varchar, 2, '0')`
  return `concat(case when starts_with(${text}, '-') then '-' end, left(${digits}, 1),
    case when length(${digits}) > 1 then '.' end, substr(${digits}, 2), 'e+', ${exponent})`
}

/** Arrays of one dimension that begin at 1. In quotes, each letter may stand after a backslash. */
function listOf(element: ParquetType): ParquetType {
  const items = (text: string) => `regexp_extract_all(${text}[2:-2], '"(?:[^"\\\\]|\\\\.)*"|[^,{}]+', 0, 's')`
  const item = `case when starts_with(ebb_e, '"') then regexp_replace(ebb_e[2:-2], '\\\\(.)', '\\1', 'gs')
    when ebb_e <> 'NULL' then ebb_e end`
  return {
    name: `${element.name}[]`,
    read: (text) =>
      `case when starts_with(${text}, '{') then list_transform(${items(text)}, lambda ebb_e : ${element.read(item)}) end`,
    text: (value) =>
      `'{' || array_to_string(list_transform(${value}, lambda ebb_e : coalesce(${inArray(element)}, 'NULL')), ',') || '}'`,
    quoted: 'anywhere',
  }
}

function inArray(element: ParquetType): string {
  const text = element.text('ebb_e')
  if (element.quoted === 'never') return text
  return `case when ${text} = '' or upper(${text}) = 'NULL' or regexp_matches(${text}, '[\\s\\x0b"\\\\{},]')
    then concat('"', replace(replace(${text}, '\\', '\\\\'), '"', '\\"'), '"') else ${text} end`
}
