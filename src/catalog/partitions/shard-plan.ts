import type { PlanNode } from '../explain.ts'
import { readingOf } from './planned-leaves.ts'

/** A shard that a plan reads, and the rows that match there, as the planner of its node believes. */
export interface ShardReading {
  readonly shard: number
  readonly matching: number
}

/** As EXPLAIN shows a statement that Citus sends to its nodes: of one of its tasks the plan of that node. */
interface DistributedNode extends PlanNode {
  readonly 'Distributed Query'?: { readonly Job?: Job }
}

interface Job {
  readonly 'Task Count'?: number
  readonly Tasks?: readonly { readonly 'Remote Plan'?: readonly (readonly { readonly Plan: PlanNode }[])[] }[]
}

/**
 * The shards that one task reads: of each partition that the planner does not rule out one, and the same ones for every
 * task. None where no task is needed; null where the plan does not tell. Pure.
 */
export function shardsOf(plan: PlanNode | undefined): readonly ShardReading[] | null {
  const job = (plan as DistributedNode | undefined)?.['Distributed Query']?.Job
  if (job === undefined) return null
  if (job['Task Count'] === 0) return []
  const remote = job.Tasks?.[0]?.['Remote Plan']?.[0]?.[0]?.Plan
  if (remote === undefined) return null
  const { leaves, unknown } = readingOf(remote)
  const shards = leaves.map(({ name, matching }) => ({ shard: Number(/_(\d+)$/.exec(name.name)?.[1]), matching }))
  return unknown.length > 0 || shards.some(({ shard }) => Number.isNaN(shard)) ? null : shards
}
