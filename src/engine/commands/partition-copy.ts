import { inSnapshot } from '../../db/transaction.ts'
import type { RebuildPlan } from '../../plan/copy/summary.ts'
import { planPartitionByCopy, type CopyRequest, type CopySituation } from '../../plan/partition/partition-copy.ts'
import { copying, readKeptRows } from '../copy/run.ts'
import { nameSuffix } from '../name-suffix.ts'
import { isPartitionedAlready, readSituation, verifySituation, withType } from './partition.ts'

/** Converts a table into partitions by copying the rows to keep. */
export const partitionByCopy = copying<CopyRequest, RebuildPlan, CopySituation>({
  name: 'partition-copy',
  removes: ({ keep }) => keep !== null,
  isCarriedOut: isPartitionedAlready,
  refused: (plan) => ({ ...plan, rebuild: null }),
  read: (planning, name, request) =>
    inSnapshot(planning.session, async () => {
      const situation = { ...(await readSituation(planning, name, request)), tag: nameSuffix(planning.options) }
      const keptRows = await readKeptRows(planning.session, situation.table, situation.settings, (rows) =>
        planPartitionByCopy({ ...situation, keptRows: rows }, request),
      )
      return { ...situation, keptRows }
    }),
  plan: (situation, request) => planPartitionByCopy(withType(situation), request),
  verify: (planning, name, situation) => verifySituation(planning, name, situation),
})
