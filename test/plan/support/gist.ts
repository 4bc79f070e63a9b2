import type { Lock, Objection, Plan, Step } from '../../../src/plan/language/step.ts'
import { display } from '../../../src/sql/names.ts'

// What a test looks at in a plan: never its sentences.

export function keys({ steps }: Pick<Plan, 'steps'>): string[] {
  return steps.map(({ key }) => key)
}

export function kinds({ steps }: Pick<Plan, 'steps'>): string[] {
  return steps.map(({ kind }) => kind)
}

export function codes({ objections }: Pick<Plan, 'objections'>): string[] {
  return objections.map(({ code }) => code)
}

export function acceptable({ objections }: Pick<Plan, 'objections'>): string[] {
  return objections.filter((one: Objection) => one.acceptable).map(({ code }) => code)
}

/** The step of that key, which must be there. */
export function step({ steps }: Pick<Plan, 'steps'>, key: string): Step {
  const found = steps.find((one) => one.key === key)
  if (found === undefined) throw new Error(`no step ${key} among ${steps.map((one) => one.key).join(', ')}`)
  return found
}

/** The step of that key, which must be of that kind. */
export function stepOf<Kind extends Step['kind']>(
  plan: Pick<Plan, 'steps'>,
  kind: Kind,
  key: string,
): Extract<Step, { kind: Kind }> {
  const found = step(plan, key)
  if (!isOf(found, kind)) throw new Error(`${key} is of kind ${found.kind}`)
  return found
}

function isOf<Kind extends Step['kind']>(one: Step, kind: Kind): one is Extract<Step, { kind: Kind }> {
  return one.kind === kind
}

export function sqlOf(plan: Pick<Plan, 'steps'>, key: string): readonly string[] {
  return step(plan, key).statements
}

/** `public.events: ACCESS EXCLUSIVE, blocks reads and writes` */
export function locksOf(plan: Pick<Plan, 'steps'>, key: string): string[] {
  return step(plan, key).locks.map(describe)
}

/** The steps that keep anybody waiting, and whom. */
export function blocking({ steps }: Pick<Plan, 'steps'>): Record<string, string[]> {
  const all = steps.map(
    ({ key, locks }) => [key, locks.filter(({ blocks }) => blocks !== 'nothing').map(describe)] as const,
  )
  return Object.fromEntries(all.filter(([, locks]) => locks.length > 0))
}

function describe({ table, mode, blocks }: Lock): string {
  return `${display(table)}: ${mode}, blocks ${blocks}`
}
