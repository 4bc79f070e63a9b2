import type { ConditionFacts } from '../../catalog/condition/condition.ts'
import type { LeafFacts, LeafModel } from '../../catalog/partitions/purge-leaves.ts'
import type { Reach } from '../../catalog/condition/selectivity.ts'
import type { ReferenceGraph } from '../../catalog/references/reference-graph.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import type { Predicate } from '../../sql/predicate.ts'
import type { Cascade, CascadeRequest } from '../references/cascade.ts'
import type { HelperFacts } from '../references/helper-index.ts'
import type { LookUpCost } from '../references/look-up-cost.ts'
import type { Archiving } from './archive/archiving.ts'
import type { CandidateSet } from './candidate-set.ts'
import { knownMatchingRows, matchingRows } from './matching-rows.ts'
import type { GroupCount } from './stale.ts'

export interface PurgeSituation {
  readonly server: ServerModel
  readonly table: TableModel
  /** The table's own facts, partitioned or not. */
  readonly itself: LeafFacts
  readonly predicate: Predicate
  readonly leaves: readonly LeafModel[]
  readonly reach: Reach
  readonly condition: ConditionFacts
  readonly graph: ReferenceGraph
  /** What the request means for the tables of the graph. */
  readonly around: CascadeRequest
  readonly cascade: Cascade
  /** The cost of finding the rows that reference one, where no index serves. */
  readonly lookUps: readonly LookUpCost[]
  /** For helper indexes; without it there are none, as in a plan of an earlier version. */
  readonly helpers?: HelperFacts
  /** Where the rows are those of a candidate set. */
  readonly candidates?: CandidateSet
  /** Where they are those of groups without activity, which may be too many to count. */
  readonly groups?: GroupCount | null
  /** Where they are archived first. */
  readonly archiving?: Archiving
}

/** The rows to delete; null where there are no statistics. Those of a candidate set have been counted. */
export function knownRows({ leaves, candidates }: PurgeSituation): number | null {
  return candidates === undefined ? knownMatchingRows(leaves) : matchingRows(leaves)
}
