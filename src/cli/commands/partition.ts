import { partition } from '../../engine/commands/partition.ts'
import { partitionByCopy } from '../../engine/commands/partition-copy.ts'
import type { RebuildPlan } from '../../plan/copy/summary.ts'
import type { Plan } from '../../plan/language/step.ts'
import type { PartitionPlan } from '../../plan/partition/partition.ts'
import { PARTITION } from '../../requests/partition.ts'
import { forSeveralTables } from '../../requests/several-tables.ts'
import { commandLine } from '../command.ts'
import { OUTCOMES } from '../outcomes.ts'
import { planOrCarryOutEach } from '../several-tables.ts'

/** `ebb partition`: partitions tables, without moving a row or by copying the rows to keep. */
export const partitionCommand = commandLine(
  forSeveralTables(PARTITION),
  {
    description:
      'Partitions a table while it is in use. With --method attach no row is moved: the existing rows become the first partition, new rows go to new partitions. With --method copy the rows to keep are copied into regular partitions; the retired table is kept for ebb rollback until ebb retire drops it.',
    usage: '<tables...> --by <column> --every <interval or ids> [options]',
  },
  (asked, { attach, copy }, { tables }) =>
    copy === null
      ? planOrCarryOutEach(asked, tables, partition, attach, OUTCOMES.partition, policyOf)
      : planOrCarryOutEach(asked, tables, partitionByCopy, copy, OUTCOMES['partition-copy'], policyOf),
)

function policyOf(plan: Plan & Partial<Pick<PartitionPlan, 'conversion'> & Pick<RebuildPlan, 'rebuild'>>): object {
  return { policy: plan.conversion?.policy ?? plan.rebuild?.policy ?? null }
}
