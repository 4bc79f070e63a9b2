import * as applying from '../policy/apply-policy.ts'
import type { PolicyConfig } from '../policy/config.ts'
import type { JudgedPolicy } from '../policy/judge-policy.ts'
import { policyOfProgram } from '../policy/read-config.ts'
import { APPLY_POLICY } from '../requests/policies.ts'
import { readCall } from './call.ts'
import type { Database } from './database.ts'
import type { Options } from './options.ts'
import { forJson } from './plain-json.ts'

/** What is kept of one table. */
export interface ApplyPolicyOptions extends Options {
  /** As SQL names it: `public.events`. */
  readonly table: string
  /** The same as in a config. */
  readonly policy: PolicyConfig
  /** Without it, the policy is only compared with what is in force. */
  readonly execute?: boolean
}

/**
 * Puts the policy of a table in force, for `rotate` and `run`. No row is touched.
 *
 * @throws {UsageError} with everything that is wrong with the policy, or when there is no such table
 * @throws {ObjectionsError} with `execute`, when it keeps less than what is in force
 */
export async function applyPolicy(
  database: Database,
  { policy, ...options }: ApplyPolicyOptions,
): Promise<JudgedPolicy> {
  const { target, values, engine } = readCall(database, APPLY_POLICY, options)
  const read = await policyOfProgram(options.table, policy)
  return forJson(await (values.execute ? applying.applyPolicy : applying.planPolicy)(target, read, engine))
}
