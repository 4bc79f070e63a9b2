import { ident, literal } from './sql.ts'

// The settings that determine the meaning of a condition. The user's conditions are evaluated under the settings of
// the connecting role; everything else runs under ours, so that defaults of a role or database cannot change what Ebb
// does.

/** Settings by name. Stored in plans: a run keeps those it was started with, wherever it is resumed. */
export type ConditionSettings = Readonly<Record<string, string>>

/** The settings that a condition can depend on, with the values in Ebb's sessions. */
export const OUR_SETTINGS = {
  search_path: '',
  TimeZone: 'UTC',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  timezone_abbreviations: 'Default',
  lc_monetary: 'C',
  lc_numeric: 'C',
  lc_time: 'C',
  bytea_output: 'hex',
  xmlbinary: 'base64',
  xmloption: 'content',
  array_nulls: 'on',
  transform_null_equals: 'off',
  default_text_search_config: 'pg_catalog.simple',
} as const satisfies ConditionSettings

/** Statements that apply `settings` to the open transaction. */
export function putUnder(settings: ConditionSettings): string[] {
  return othersThanOurs(settings).map(([name, value]) => `set local ${name} to ${valueForSet(name, value)}`)
}

/** The same with those that are as ours: other nodes may have others by default. */
export function putEverywhere(settings: ConditionSettings): string[] {
  return Object.entries({ ...OUR_SETTINGS, ...settings })
    .filter(([name]) => name in OUR_SETTINGS)
    .map(([name, value]) => `set local ${name} to ${valueForSet(name, value)}`)
}

/** Statements that restore ours. */
export function putBack(settings: ConditionSettings): string[] {
  const ours: ConditionSettings = OUR_SETTINGS
  return othersThanOurs(settings).map(([name]) => `set local ${name} to ${valueForSet(name, ours[name] ?? '')}`)
}

/** All of them except the search path, for a function that may be called under any settings. */
export function asFunctionSettings(settings: ConditionSettings): string[] {
  return Object.entries({ ...OUR_SETTINGS, ...settings })
    .filter(([name]) => name !== 'search_path' && name in OUR_SETTINGS)
    .map(([name, value]) => `set ${name} to ${literal(value).text}`)
}

function othersThanOurs(settings: ConditionSettings): [string, string][] {
  const ours: ConditionSettings = OUR_SETTINGS
  return Object.keys(ours).flatMap((name): [string, string][] => {
    const value = settings[name]
    return value === undefined || value === ours[name] ? [] : [[name, value]]
  })
}

function valueForSet(name: string, value: string): string {
  const schemas = name === 'search_path' ? schemasOf(value) : []
  return schemas.length === 0 ? literal(value).text : schemas.map((schema) => ident(schema).text).join(', ')
}

/** The schemas of a search path; unquoted names are lower-case. */
function schemasOf(path: string): string[] {
  return (path.match(/"(?:[^"]|"")+"|[^\s,"]+/g) ?? []).map((name) =>
    name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase(),
  )
}

/** Only the search path, for user code outside a condition. */
export function pathOf({ search_path: path = '' }: ConditionSettings): ConditionSettings {
  return { search_path: path }
}

/** The same for statements with definitions printed by PostgreSQL, in which unqualified names are in pg_catalog. */
export function pathForCode({ search_path: path = '' }: ConditionSettings): ConditionSettings {
  return { search_path: path === '' ? '' : `pg_catalog, ${path}` }
}
