import { readPartitioning } from '../catalog/partitions/partitioned-table.ts'
import { resolveTable } from '../catalog/table/read-table.ts'
import { readClock } from '../db/clock.ts'
import { type Session, type Target, withSession } from '../db/session.ts'
import { inTransaction } from '../db/transaction.ts'
import { patiently } from '../engine/locks/patiently.ts'
import type { EngineOptions } from '../engine/options.ts'
import { ObjectionsError } from '../errors.ts'
import { at, journalExists, latestRun } from '../journal/journal.ts'
import { migrateJournal } from '../journal/migrate.ts'
import { policiesInForce, recordPolicy } from '../journal/policies.ts'
import { registeredSets, registerSet } from '../journal/sets.ts'
import { display } from '../sql/names.ts'
import { sql } from '../sql/sql.ts'
import { isOther, judgePolicy, type JudgedPolicy, type Standing } from './judge-policy.ts'
import { taskOf, type Policy } from './policy.ts'
import type { PresentSet } from './set-policy.ts'
import type { Terms } from './terms.ts'

/** What is in force for the table of a policy. Reads only. */
export async function readStanding(
  session: Session,
  policy: Policy,
  { journalSchema, onlyLooks = false }: Pick<EngineOptions, 'journalSchema' | 'onlyLooks'>,
): Promise<Standing> {
  const table = await resolveTable(session, policy.table)
  const hasJournal = await journalExists(session, journalSchema, onlyLooks ? 'look' : 'work')
  const [inForce = null] = hasJournal ? await policiesInForce<Terms>(session, journalSchema, table) : []
  const [set] = hasJournal ? await registeredSets(session, journalSchema, table) : []
  const registered = set?.policy ?? null
  const run = hasJournal ? await latestRun(session, journalSchema, table) : undefined
  return {
    table,
    inForce,
    present: await readPresent(session, policy, table, registered),
    now: await readClock(session),
    unfinished: run?.status === 'running' ? run.command : null,
  }
}

async function readPresent(
  session: Session,
  policy: Policy,
  table: Standing['table'],
  registered: PresentSet['registered'],
): Promise<PresentSet> {
  if (taskOf(policy, 'rotate') === undefined) return { partitioned: false, key: null, registered }
  // Whether the table still is what is registered, rotate looks up itself; only a contradiction has to be true.
  if (registered !== null && (policy.set === null || policy.set.by === registered.column))
    return { partitioned: true, key: { column: registered.column, kind: registered.kind }, registered }
  const found = await readPartitioning(session, table)
  return { partitioned: found !== undefined, key: found?.key ?? null, registered }
}

/** Compares a policy with what is in force. Reads only. */
export function planPolicy(target: Target, policy: Policy, options: EngineOptions): Promise<JudgedPolicy> {
  const { journalSchema, accept = [] } = options
  return withSession(target, 'plan policy', (session) =>
    patiently(session, options, async () =>
      judgePolicy(policy, await readStanding(session, policy, { journalSchema }), accept),
    ),
  )
}

/**
 * Puts a policy in force: what it says is recorded, and registered for rotate. No row is touched.
 *
 * @throws {ObjectionsError} where it keeps less than what is in force, and that has not been accepted
 */
export async function applyPolicy(target: Target, policy: Policy, options: EngineOptions): Promise<JudgedPolicy> {
  const planned = await planPolicy(target, policy, options)
  assertUnobjected(planned)
  return planned.differs ? putInForce(target, policy, options) : planned
}

/** The same for a policy that has been found to differ. */
export async function putInForce(target: Target, policy: Policy, options: EngineOptions): Promise<JudgedPolicy> {
  const { journalSchema, accept = [] } = options
  return withSession(target, 'policy', async (session) => {
    await migrateJournal(session, journalSchema)
    return inTransaction(session, {}, async () => {
      // Two at once: what the first has recorded is in force for the second.
      await session.query(sql`lock table ${at(journalSchema, 'policy')} in share row exclusive mode`)
      const standing = await readStanding(session, policy, { journalSchema })
      const judged = judgePolicy(policy, standing, accept)
      assertUnobjected(judged)
      const { table, terms, set, accepted } = judged
      const { inForce, present } = standing
      if (inForce === null || isOther(terms, inForce.terms))
        await recordPolicy(session, journalSchema, table, terms, accepted)
      if (set !== null && isOther(set, present.registered)) await registerSet(session, journalSchema, table, set, null)
      return judged
    })
  })
}

function assertUnobjected({ table, objections }: JudgedPolicy): void {
  if (objections.length > 0) throw new ObjectionsError(`apply the policy of ${display(table)}`, { objections })
}
