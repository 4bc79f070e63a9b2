import type { RotationPlan } from './plan.ts'
import { compareSaved, inLine, type SavedPlan, type SavedStep } from '../language/saved.ts'
import { canonicalJson, toStored } from '../language/stored.ts'
import { display, type TableName } from '../../sql/names.ts'

// A saved rotation is of certain partitions. Planned again at its moment, it is the same but for what has been done of it
// since, according to the journal: so a rotation that was stopped is continued. Of a table that is partitioned by id the
// moment alone does not decide which partitions are due: those that have become due since are left for another rotation.

/** What rotations have done with partitions since the moment of a plan: their actions, by the name of the partition. */
export type DoneSince = ReadonlyMap<string, ReadonlySet<string>>

/** What a rotation is made from besides its steps: the policy, and which tables the partitions are that are retired. */
export function besidesOf({ policy, retire, leftovers, watch }: RotationPlan): Record<string, string> {
  const entries = [
    ...retire.map(({ partition }) => identified(partition.name, partition.oid, partition.boundsText)),
    ...[...leftovers, ...watch].map(({ begun }) => identified(begun.partition, begun.oid, begun.bounds)),
  ]
  return { 'the policy': canonicalJson(toStored(policy)), ...Object.fromEntries(entries) }
}

function identified(name: TableName, oid: string, bounds: string): [string, string] {
  return [nameOf(name), `${oid} ${bounds}`]
}

function nameOf(partition: TableName): string {
  return `partition ${display(partition)}`
}

/** What is planned otherwise than it was saved; `now` is made of the plan. */
export function rotationDifferences(saved: SavedPlan, now: SavedPlan, plan: RotationPlan, done: DoneSince): string[] {
  const { other, gone, added, changed } = compareSaved(saved, now)
  const begun = begunOf(plan, saved)
  const isBegun = (step: SavedStep) => begun.includes(partitionOf(step))
  const isLeft = (step: SavedStep) => isBegun(step) || isReadmitted(step, saved) || isDueSince(step, plan)
  return [
    ...other,
    ...gone
      .filter((step) => !isBegun(step) && !isDone(step, plan, done))
      .map(({ title }) => `no longer planned: ${inLine(title)}`),
    ...added.filter((step) => !isLeft(step)).map(({ title }) => `planned in addition: ${inLine(title)}`),
    ...changed.filter((step) => !isBegun(step)).map(({ title }) => `planned otherwise: ${inLine(title)}`),
  ]
}

/** Partitions whose retirement was saved, and has been begun: the rest of it has steps of its own. */
function begunOf({ leftovers, watch, finalize }: RotationPlan, saved: SavedPlan): string[] {
  const names = [
    ...[...leftovers, ...watch].map(({ begun }) => begun.partition),
    ...finalize.map(({ partition }) => partition.name),
  ].map(display)
  return names.filter((name) => hasStep(saved, `detach:${name}`))
}

function hasStep({ steps }: Pick<SavedPlan, 'steps'>, key: string): boolean {
  return steps.some((step) => step.key === key)
}

/** As it is displayed. */
function partitionOf({ key }: Pick<SavedStep, 'key'>): string {
  return key.slice(key.indexOf(':') + 1)
}

/** An interrupted rotation has left the CHECK that it had added to the DEFAULT partition. */
function isReadmitted(step: Pick<SavedStep, 'key'>, saved: SavedPlan): boolean {
  return step.key.startsWith('readmit:') && hasStep(saved, `exclude:${partitionOf(step)}`)
}

function isDueSince({ key }: SavedStep, { policy, create, retire }: RotationPlan): boolean {
  if (policy?.kind !== 'id') return false
  return [...create.map(({ step }) => step), ...retire.flatMap(({ steps }) => steps)].some((step) => step.key === key)
}

const BESIDE_DEFAULT = ['readmit', 'exclude', 'validate', 'admit']

function isDone(step: SavedStep, { create }: RotationPlan, done: DoneSince): boolean {
  const verb = step.key.slice(0, step.key.indexOf(':'))
  if (BESIDE_DEFAULT.includes(verb)) return create.length === 0
  const actions = [...done].flatMap(([name, all]) => (isNamed(partitionOf(step), name) ? [...all] : []))
  return actions.some((action) => (verb === 'create') === (action === 'created'))
}

/** The journal has the names of partitions without their schemas. */
function isNamed(displayed: string, name: string): boolean {
  return displayed.endsWith(display({ schema: 'x', name }).slice('x'.length))
}

/** What of a plan was saved. */
export function onlySaved(plan: RotationPlan, saved: SavedPlan): RotationPlan {
  const isSaved = ({ key }: Pick<SavedStep, 'key'>) =>
    hasStep(saved, key) || begunOf(plan, saved).includes(partitionOf({ key }))
  const isKnown = (name: TableName, oid: string, bounds: string) =>
    saved.besides?.[nameOf(name)] === identified(name, oid, bounds)[1]
  const only = {
    finalize: plan.finalize.filter(({ step }) => isSaved(step)),
    create: plan.create.filter(({ step }) => isSaved(step)),
    leftovers: plan.leftovers.filter(({ step }) => isSaved(step)),
    leftThere: plan.leftThere.filter(({ drop }) => isSaved(drop)),
    watch: plan.watch.filter(({ step }) => isSaved(step)),
    retire: plan.retire.filter(
      ({ partition, steps }) => steps.every(isSaved) && isKnown(partition.name, partition.oid, partition.boundsText),
    ),
  }
  const exclusion = only.create.length === 0 ? null : plan.exclusion
  const steps = plan.steps.filter((step) => isSaved(step) || isReadmitted(step, saved))
  return { ...plan, ...only, exclusion, steps }
}
