import { cwd } from 'node:process'
import { basename } from 'node:path'
import type { core } from 'zod'
import { UsageError } from '../errors.ts'
import { name as schemaName, tableName } from '../requests/parsers.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { nearest } from '../text/nearest.ts'
import { ConfigFaults } from './config-faults.ts'
import { configsIn, findConfig, folderOf, readConfigFile } from './config-file.ts'
import type { Config, PolicyConfig } from './config.ts'
import { readHooks } from './hooks.ts'
import type { Path } from './place.ts'
import { PolicyText } from './policy-text.ts'
import type { Policies, Policy } from './policy.ts'
import { readPolicy } from './read-policy.ts'
import { configSchema, type ConfigShape } from './schema.ts'
import { withEnvironment } from './secrets.ts'
import { unplaced, type WrittenConfig } from './written-config.ts'

type Env = Readonly<Record<string, string | undefined>>

/**
 * The policies of a file; of the only one in this folder where none is named.
 *
 * @throws {UsageError} with everything that is wrong with it
 */
export async function readConfig(file: string | null, env: Env): Promise<Policies> {
  const path = file ?? (await findConfig(cwd()))
  const faults = new ConfigFaults()
  const shown = file ?? basename(path)
  const written = await readConfigFile(path, faults)
  return policiesOf(
    written,
    { shown, folder: folderOf(path), env: /\.(?:ya?ml|json)$/.test(path) ? env : null },
    faults,
  )
}

/** The same; null where there is no config in this folder. */
export async function readConfigIfAny(env: Env): Promise<Policies | null> {
  return (await configsIn(cwd())).length === 0 ? null : readConfig(null, env)
}

/** The policies of a program. @throws {UsageError} with everything that is wrong with them */
export async function policiesOfProgram(config: Config): Promise<Policies> {
  return policiesOf(unplaced(config), { shown: 'config', folder: cwd(), env: null }, new ConfigFaults())
}

/** The policy of one table, by a program. @throws {UsageError} with everything that is wrong with it */
export async function policyOfProgram(table: string, policy: PolicyConfig): Promise<Policy> {
  const { policies } = await policiesOfProgram({ policies: { [table]: policy } })
  if (policies[0] === undefined) throw new Error('a policy without faults is read')
  return policies[0]
}

interface Origin {
  readonly shown: string
  readonly folder: string
  /** Null where the environment is not referred to: a program reads it itself. */
  readonly env: Env | null
}

async function policiesOf(
  written: WrittenConfig,
  { shown, folder, env }: Origin,
  faults: ConfigFaults,
): Promise<Policies> {
  if (written.value === undefined && faults.any) faults.throwIfAny(shown)
  const note = (path: Path, error: UsageError) => faults.note(written, path, 'value', error)
  const value = env === null ? written.value : withEnvironment(written.value, env, note)
  const shape = await shapeOf(value, written, faults)
  const journalSchema = readJournalSchema(shape, written, faults)
  const names = Object.keys(shape.policies)
  const policies = names.flatMap((name) => readPolicy(new PolicyText(name, shape, folder), { written, faults }) ?? [])
  noteDoubles(names.flatMap(tableOf), written, faults)
  const hooks = readHooks(shape.hooks, { written, faults })
  faults.throwIfAny(shown)
  const place = (name: string) => {
    const at = written.place(['policies', name], 'key')
    return at === null ? shown : `${shown}:${at.line}:${at.column}`
  }
  return { file: shown, journalSchema, policies, hooks, place }
}

/** The parts of a config that have the right shape; the others are noted. */
async function shapeOf(value: unknown, written: WrittenConfig, faults: ConfigFaults): Promise<ConfigShape> {
  const zod = await import('zod')
  const schema = configSchema(zod)
  const read = schema.safeParse(value)
  const issues = read.success ? [] : read.error.issues
  for (const issue of issues)
    if (isEmpty(value, issue.path as Path)) faults.note(written, issue.path as Path, 'value', EMPTY)
    else noteIssue(issue, schema, written, faults)
  const { policies, defaults, hooks, journalSchema } = Object(value) as Partial<ConfigShape>
  return { policies: objectsIn(policies), ...objectsIn({ defaults, hooks }), journalSchema }
}

const EMPTY = new UsageError('missing', 'Write a value after the key, or remove it.')

/** A key of a policy without a value, as `ebb init` leaves those that are not for it to decide. */
function isEmpty(value: unknown, path: Path): boolean {
  const inner = path.reduce<unknown>((outer, part) => (outer as Record<string | number, unknown> | null)?.[part], value)
  return inner === null && path.length > 2
}

function objectsIn(value: unknown): Record<string, Readonly<Record<string, unknown>>> {
  const isObject = (inner: unknown) => typeof inner === 'object' && inner !== null && !Array.isArray(inner)
  return isObject(value)
    ? Object.fromEntries(Object.entries(value as object).filter(([, inner]) => isObject(inner)))
    : {}
}

function noteIssue(issue: core.$ZodIssue, schema: unknown, written: WrittenConfig, faults: ConfigFaults): void {
  const path = issue.path as Path
  if (issue.code !== 'unrecognized_keys') {
    const isMissing = issue.code === 'invalid_type' && issue.input === undefined && path.length === 1
    const message = issue.message.replace(/^Invalid input: expected (\w+), received.*/, 'expected an object')
    const error = isMissing
      ? new UsageError('missing', 'Write policies, by table: policies: { public.events: { keep: 90 days } }.')
      : new UsageError(
          message,
          'See https://github.com/pg-ebb/pg-ebb/blob/main/docs/config.schema.json, or an editor that knows it.',
        )
    return faults.note(written, path, isMissing ? 'key' : 'value', error)
  }
  for (const key of issue.keys) faults.note(written, [...path, key], 'key', unknownKey(key, keysAt(schema, path)))
}

function unknownKey(key: string, known: readonly string[]): UsageError {
  if (key === 'url')
    return new UsageError(
      'a config does not name the database',
      'Pass --url, or set DATABASE_URL: the same file serves each database.',
    )
  const near = nearest(key, known)
  return new UsageError(
    `there is no such key${near === null ? '' : `; did you mean ${near}?`}`,
    near === null ? `Keys there are ${known.join(', ')}.` : 'Correct it.',
  )
}

/** The keys that an object in the config may have. */
function keysAt(schema: unknown, path: Path): string[] {
  let inner = bare(schema)
  for (const part of path) inner = bare(inner.shape?.[part] ?? inner.valueType)
  return Object.keys(inner.shape ?? {})
}

interface Bare {
  readonly shape?: Readonly<Record<string, unknown>>
  readonly valueType?: unknown
  readonly unwrap?: () => unknown
}

function bare(schema: unknown): Bare {
  const given = Object(schema) as Bare
  return given.unwrap === undefined ? given : bare(given.unwrap())
}

function readJournalSchema(
  { journalSchema }: ConfigShape,
  written: WrittenConfig,
  faults: ConfigFaults,
): string | null {
  if (journalSchema === undefined || typeof journalSchema !== 'string') return null
  try {
    return schemaName(journalSchema)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    faults.note(written, ['journalSchema'], 'value', error)
    return null
  }
}

interface Named {
  readonly name: string
  readonly table: WrittenName
}

/** The table of a policy, whatever else is wrong with it. That a name is none is noted where the policy is read. */
function tableOf(name: string): Named[] {
  try {
    return [{ name, table: tableName(name) }]
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    return []
  }
}

/** Two policies for one table; without a schema a name may be that of any table of that name, so both need theirs. */
function noteDoubles(policies: readonly Named[], written: WrittenConfig, faults: ConfigFaults): void {
  for (const [i, policy] of policies.entries()) {
    const other = policies.slice(0, i).find(({ table }) => mayBeSame(table, policy.table))
    if (other === undefined) continue
    const error = new UsageError(
      `there are two policies for this table: ${other.name} and ${policy.name}`,
      'Make one of them; or, if they are different tables, write both with their schemas.',
    )
    faults.note(written, ['policies', policy.name], 'key', error)
  }
}

function mayBeSame(a: WrittenName, b: WrittenName): boolean {
  return a.name === b.name && (a.schema === null || b.schema === null || a.schema === b.schema)
}
