import type { Config } from '../policy/config.ts'
import { findPolicies, planPolicies, type PolicyPlan } from '../policy/plan-policies.ts'
import { withLockLimits } from '../policy/policy.ts'
import { policiesOfProgram, readConfig } from '../policy/read-config.ts'
import { runPolicies, timeLimit, type RunReport } from '../policy/run-policies.ts'
import { RUN } from '../requests/policies.ts'
import { call, type Call } from './call.ts'
import type { Database, Table } from './database.ts'
import type { LockOptions, Options } from './options.ts'

/** Which policies are carried out. What is said of locks here comes before what they say. */
export interface RunPoliciesOptions extends Options, LockOptions {
  /** A config, or the path of one. */
  readonly config: Config | string
  /** What `${NAME}` in a file refers to, such as the environment of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Only the policies of these tables. */
  readonly only?: readonly Table[]
  /** Ends after this time; the next call continues. */
  readonly maxDurationMs?: number
}

/**
 * Carries out what is due according to a config. A failure of one table is in its report and does not stop the others.
 *
 * @throws {UsageError} with everything that is wrong with the config, or when one of its tables does not exist
 */
export const run: Call<RunPoliciesOptions, PolicyPlan[], RunReport> = ((
  database: Database,
  { config, env = {}, ...options }: RunPoliciesOptions,
) => {
  const answered = call<object, PolicyPlan[], RunReport, typeof RUN.options, ReturnType<typeof RUN.request>>(
    RUN,
    async ({ target, request, engine, values }) => {
      const read = typeof config === 'string' ? await readConfig(config, env) : await policiesOfProgram(config)
      const journalSchema = values.journalSchema ?? read.journalSchema ?? engine.journalSchema
      const asked = { ...engine, journalSchema }
      const found = await findPolicies(target, withLockLimits(read, request.locks), request.only, asked)
      return {
        plan: () => planPolicies(target, found, asked),
        carryOut: () => runPolicies(target, found, timeLimit(request.mostMs), asked),
      }
    },
  )
  return answered(database, options)
}) as Call<RunPoliciesOptions, PolicyPlan[], RunReport>
