import type { WalkedReference } from './graph.ts'

/** The cost of finding the rows that reference one row through a foreign key that no index serves. */
export interface LookUpCost {
  /** Of the constraint, and the oid of its table. */
  readonly name: string
  readonly from: string
  /** For one row. */
  readonly milliseconds: number
  /** The measurement timed out. */
  readonly atLeast: boolean
}

/** From here on a look-up is significant beside the cost of deleting a row: it reads some ten thousand rows. */
const SLOW_MS = 1

/** What a row's look-up costs; undefined where an index serves. */
export function lookUpCost(
  { reference, from }: Pick<WalkedReference, 'reference' | 'from'>,
  costs: readonly LookUpCost[],
): LookUpCost | undefined {
  if (reference.indexed) return undefined
  return costs.find((one) => one.name === reference.name && one.from === from.oid)
}

/** The same, where it is significant. */
export function slowLookUp(one: WalkedReference, costs: readonly LookUpCost[]): LookUpCost | undefined {
  const cost = lookUpCost(one, costs)
  return cost !== undefined && cost.milliseconds >= SLOW_MS ? cost : undefined
}
