import { checkPolicies } from '../policy/check-policies.ts'
import type { Config } from '../policy/config.ts'
import type { Finding } from '../policy/findings.ts'
import { policiesOfProgram, readConfig } from '../policy/read-config.ts'
import { CHECK } from '../requests/policies.ts'
import { readCall } from './call.ts'
import type { Database, Table } from './database.ts'
import type { DatabaseOptions } from './options.ts'
import { forJson } from './plain-json.ts'

/** With what the database is compared. */
export interface CheckOptions extends DatabaseOptions {
  /** A config, or the path of one; without, what the journal alone tells. */
  readonly config?: Config | string
  /** What `${NAME}` in a file refers to, such as the environment of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Only the policies of these tables. */
  readonly only?: readonly Table[]
}

/**
 * What is due and what is wrong, the worst first. Changes nothing.
 *
 * @throws {UsageError} with everything that is wrong with the config
 */
export async function check(database: Database, options: CheckOptions = {}): Promise<Finding[]> {
  const { config, env = {}, ...others } = options
  const { target, request, engine, values } = readCall(database, CHECK, others)
  const read =
    config === undefined
      ? null
      : typeof config === 'string'
        ? await readConfig(config, env)
        : await policiesOfProgram(config)
  const journalSchema = values.journalSchema ?? read?.journalSchema ?? engine.journalSchema
  return forJson(await checkPolicies(target, read, request.only, { ...engine, journalSchema }))
}
