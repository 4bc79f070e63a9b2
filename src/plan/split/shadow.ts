import { createPartitioned, identitySteps, leavesOf, type Layout } from '../partition/partitioned-shadow.ts'
import type { OwnPart } from '../../catalog/partitions/own-parts.ts'
import { partsBefore } from '../table/own-parts.ts'
import type { Step } from '../language/step.ts'
import { foreignKeysOf } from '../table/definitions.ts'
import { factsOf } from '../table/facts.ts'
import { checkStep, foreignKeySteps, indexStep, online, type Shadow, type ShadowNames } from '../table/shadow.ts'
import { byStart } from '../../grid/gaps.ts'
import { addBound, besideCondition, merged, rangeCondition, rangesBeside } from './bound.ts'
import type { SplitSituation } from './situation.ts'
import type { TableName } from '../../sql/names.ts'

/** What all partitions have by themselves; foreign keys without looking at the rows under the lock. */
function ownPartSteps(leaves: readonly TableName[], parts: readonly OwnPart[]): Step[] {
  const others = parts.filter(({ kind }) => kind !== 'foreign key')
  const statements = leaves.flatMap((leaf) => partsBefore(leaf, others))
  return [
    ...(statements.length === 0
      ? []
      : [
          online(
            'own-parts',
            'give the new partitions what all others have by themselves',
            'constraints and indexes that the table itself lacks',
            'reads the new partitions once for each',
            statements,
          ),
        ]),
    ...parts.flatMap((part) =>
      part.kind === 'foreign key'
        ? foreignKeySteps(leaves, { ...part, references: part.references, comment: null })
        : [],
    ),
  ]
}

/** The partitions in the making, under a parent of their own which sorts the rows into them until the exchange. */
export function splitShadow(situation: SplitSituation, names: ShadowNames, layout: Layout): Shadow {
  const { parent, server, policy, set, partition } = situation
  const { cells, start, rest } = layout
  const leaves = leavesOf(layout)
  const checks = parent.constraints.filter(({ type }) => type === 'check')
  const proofs = cells.map((cell, i) =>
    addBound(
      layout.leaves[i] as TableName,
      rangeCondition(policy, { from: i === 0 ? start : cell.from, to: cell.to }, parent),
    ),
  )
  if (rest !== undefined) {
    const others = [...rangesBeside(set, partition), ...cells].toSorted(byStart)
    proofs.push(addBound(rest, besideCondition(policy, merged(others), parent)))
  }
  return {
    name: names.shadow,
    leaves,
    create: createPartitioned(parent, names.shadow, layout, server.role),
    finish: [
      ...identitySteps(leaves, layout.shape.identity),
      ...parent.indexes.map((index) => indexStep(parent, names, index, null, 1)),
      ...checks.map((check) => checkStep(names.shadow, check)),
      ...foreignKeysOf(parent).flatMap((key) => foreignKeySteps(leaves, key)),
      ...ownPartSteps(leaves, layout.shape.parts),
      online(
        'bounds',
        'validate the bounds of the new partitions',
        'attaching them then reads nothing',
        'reads them once',
        proofs,
      ),
    ],
    takePlace: [],
    indexes: [],
    foreignKeys: [],
    after: factsOf(parent),
    settle: [],
    outcome: factsOf(parent),
  }
}
