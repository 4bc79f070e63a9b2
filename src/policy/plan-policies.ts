import { findTable } from '../catalog/table/read-table.ts'
import { readServer, type ServerModel } from '../catalog/server-model.ts'
import { withSession, type Session, type Target } from '../db/session.ts'
import { inSnapshot } from '../db/transaction.ts'
import { planStaleOf } from '../engine/commands/purge-stale.ts'
import { mark } from '../engine/commands/mark.ts'
import { view } from '../engine/commands/view.ts'
import { purge } from '../engine/commands/purge.ts'
import { planSet } from '../engine/commands/rotate.ts'
import { readPatiently } from '../engine/locks/patiently.ts'
import { asError, type Failure } from '../engine/many-tables.ts'
import { asIfAble, mayOnlyLook } from '../engine/onlooker.ts'
import type { EngineOptions } from '../engine/options.ts'
import { readOfEach } from '../engine/side-by-side.ts'
import { planCommand } from '../engine/plan-command.ts'
import { UsageError } from '../errors.ts'
import { journalExists } from '../journal/journal.ts'
import { policiesInForce } from '../journal/policies.ts'
import { registeredSets, type RegisteredSet } from '../journal/sets.ts'
import type { Plan } from '../plan/language/step.ts'
import { renamed as renamedTable } from '../plan/rotate/objections.ts'
import type { RotationPlan } from '../plan/rotate/plan.ts'
import { refuse } from '../plan/rotate/rotate.ts'
import type { ViewPlan } from '../plan/view/view.ts'
import { resolvePurge } from '../requests/purge.ts'
import { display, sameName, type TableName } from '../sql/names.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { readStanding } from './apply-policy.ts'
import { judgePolicy, type JudgedPolicy } from './judge-policy.ts'
import type { Policies, Policy, Task, TaskOf } from './policy.ts'
import { rotationOf, tasksNow } from './tasks.ts'

/** A policy whose table is there. */
export interface FoundPolicy {
  readonly policy: Policy
  readonly table: TableName
}

/** A policy that names its table as it was called before. */
export interface RenamedPolicy extends FoundPolicy {
  readonly renamedTo: TableName
}

/** The policies of a config, by what has become of their tables. */
export interface FoundPolicies {
  readonly server: ServerModel
  /** The role can do no more than look, and that is all it is asked for. */
  readonly onlyLooks: boolean
  readonly found: readonly FoundPolicy[]
  /** Their tables were there once, and have been dropped. */
  readonly gone: readonly FoundPolicy[]
  /** Their tables have another name now. */
  readonly renamed: readonly RenamedPolicy[]
}

/**
 * Looks for the tables of all policies.
 *
 * @throws {UsageError} that names every table that was never there, or has two policies
 */
export async function findPolicies(
  target: Target,
  config: Policies,
  only: readonly WrittenName[],
  options: EngineOptions,
): Promise<FoundPolicies> {
  return readPatiently(target, 'plan run', options, (session) =>
    inSnapshot(session, async () => {
      const server = await readServer(session, options.journalSchema)
      const onlyLooks = options.onlyLooks === true && mayOnlyLook(server)
      const known = await knownTables(session, options.journalSchema, onlyLooks ? 'look' : 'work')
      const found: FoundPolicy[] = []
      const gone: FoundPolicy[] = []
      const renamed: RenamedPolicy[] = []
      const faults: string[] = []
      for (const policy of chosen(config, only)) {
        const table = await findTable(session, policy.table)
        const twin = table && found.find((other) => sameName(other.table, table))
        const once = known.find((one) => isNamed(one.table, policy.table))
        const at = `${config.place(policy.name)}: ${policy.name}`
        if (twin) faults.push(`${at}: it is the same table as ${twin.policy.name}`)
        else if (table) found.push({ policy, table })
        else if (once?.renamedTo) renamed.push({ policy, table: once.table, renamedTo: once.renamedTo })
        else if (once) gone.push({ policy, table: once.table })
        else faults.push(`${at}: there is no such table`)
      }
      if (faults.length > 0) throw wrongTables(faults)
      return { server: onlyLooks ? asIfAble(server) : server, onlyLooks, found, gone, renamed }
    }),
  )
}

/** A set is registered again with each conversion, so what it says of the present name comes first. */
async function knownTables(
  session: Session,
  schema: string,
  to: 'work' | 'look',
): Promise<readonly Pick<RegisteredSet, 'table' | 'renamedTo'>[]> {
  if (!(await journalExists(session, schema, to))) return []
  return [...(await registeredSets(session, schema)), ...(await policiesInForce(session, schema))]
}

function chosen({ policies }: Policies, only: readonly WrittenName[]): readonly Policy[] {
  const without = only.filter((name) => !policies.some(({ table }) => isNamed(table, name)))
  if (without.length > 0)
    throw new UsageError(
      `--only: the config has no policy for ${without.map(({ schema, name }) => `${schema === null ? '' : `${schema}.`}${name}`).join(', ')}`,
      `Name tables of the config: ${policies.map(({ name }) => name).join(', ')}.`,
    )
  return only.length === 0 ? policies : policies.filter(({ table }) => only.some((name) => isNamed(table, name)))
}

function isNamed(table: WrittenName, name: WrittenName): boolean {
  return table.name === name.name && (table.schema === null || name.schema === null || table.schema === name.schema)
}

function wrongTables(faults: readonly string[]): UsageError {
  const all = faults.length === 1 ? faults.join() : `${faults.length} faults:\n       ${faults.join('\n       ')}`
  return new UsageError(all, 'Correct the config. Is this the right database?')
}

/** What would be done for one table. */
export interface PolicyPlan {
  readonly name: string
  readonly table: TableName
  readonly judged: JudgedPolicy | null
  readonly rotation: RotationPlan | null
  /** Null where its policy says nothing of a view, or it is as the policy says. */
  readonly view: ViewPlan | null
  readonly others: readonly Plan[]
  /** Why rows are not removed now. */
  readonly notNow: string | null
  /** What could not be planned. */
  readonly failed: readonly Failure[]
}

/** Plans all policies, in a few sessions as far as they are rotations. Reads only. */
export async function planPolicies(
  target: Target,
  { found, renamed, server, onlyLooks }: FoundPolicies,
  given: EngineOptions,
  which: 'all' | 'rotations' = 'all',
): Promise<PolicyPlan[]> {
  const purpose = 'plan run'
  const options = { ...given, onlyLooks }
  const plans = await withSession(target, purpose, (own) =>
    readOfEach({ session: own, target, purpose, patience: options }, found, (session, one) =>
      planOne(target, session, server, one, options, which),
    ),
  )
  return [...renamed.map(planRenamed), ...plans]
}

const NOTHING_PLANNED = { judged: null, rotation: null, view: null, others: [], notNow: null, failed: [] }

function planRenamed({ policy, table, renamedTo }: RenamedPolicy): PolicyPlan {
  return {
    ...NOTHING_PLANNED,
    name: policy.name,
    table,
    rotation: refuse(table, null, [renamedTable(table, renamedTo)]),
  }
}

async function planOne(
  target: Target,
  session: Session,
  server: ServerModel,
  { policy, table }: FoundPolicy,
  options: EngineOptions,
  which: 'all' | 'rotations',
): Promise<PolicyPlan> {
  const nothing = { ...NOTHING_PLANNED, name: policy.name, table }
  try {
    const standing = await inSnapshot(session, () => readStanding(session, policy, options))
    const judged = judgePolicy(policy, standing, options.accept ?? [])
    const { tasks, notNow } = tasksNow(policy, judged)
    let rotation: RotationPlan | null = null
    let viewed: ViewPlan | null = null
    const others: Plan[] = []
    const failed: Failure[] = []
    const planTaskOf = async (task: Task) => {
      const given = optionsOf(task, options)
      if (task.kind === 'rotate')
        rotation = await planSet(session, server, table, withAccept(rotationOf(task, judged, notNow), given), given)
      else if (task.kind === 'view') viewed = await planView(target, table, task, given)
      else if (which === 'all') others.push(await planTask(target, table, task, given))
    }
    // What cannot be planned of one says nothing about the others.
    for (const task of tasks)
      await planTaskOf(task).catch((error: unknown) =>
        failed.push({ what: `plan ${display(table)}`, error: asError(error) }),
      )
    return { ...nothing, judged, rotation, view: viewed, others, notNow, failed }
  } catch (error) {
    return { ...nothing, failed: [{ what: `plan ${display(table)}`, error: asError(error) }] }
  }
}

/** The plan of a view; null where it is as its policy says. */
export async function planView(
  target: Target,
  table: TableName,
  { request }: TaskOf<'view'>,
  options: EngineOptions,
): Promise<ViewPlan | null> {
  const plan = await planCommand(target, table, view, request, options)
  return plan.isCurrent ? null : plan
}

async function planTask(
  target: Target,
  table: TableName,
  task: Exclude<Task, { kind: 'rotate' | 'view' }>,
  options: EngineOptions,
): Promise<Plan> {
  switch (task.kind) {
    case 'mark':
      return planCommand(target, table, mark, task.request, options)
    case 'stale':
      return planStaleOf(target, table, { ...task.request, accept: options.accept ?? [] }, task.flag, options)
    case 'purge': {
      const { request } = await resolvePurge(target, table, task.request, options)
      return planCommand(target, table, purge, request, options)
    }
  }
}

/** The options of a task: what is accepted for all runs, and for this one. */
export function optionsOf({ engine }: Task, options: EngineOptions): EngineOptions {
  // What a whole run is given comes before what the policy says.
  const waitMs = options.waitMs ?? engine.waitMs
  const accept = [...(engine.accept ?? []), ...(options.accept ?? [])]
  return { ...options, ...engine, ...(waitMs === undefined ? {} : { waitMs }), accept }
}

/** Requests have what is accepted, too. */
export function withAccept<Request extends { readonly accept: readonly string[] }>(
  request: Request,
  { accept = [] }: EngineOptions,
): Request {
  return { ...request, accept }
}
