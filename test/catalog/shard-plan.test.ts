import { expect, test } from 'vitest'
import type { PlanNode } from '../../src/catalog/explain.ts'
import { shardsOf } from '../../src/catalog/partitions/shard-plan.ts'
import { middleOf } from '../../src/engine/purge/stored/revisit.ts'

// Plans as EXPLAIN of Citus 13.2 gives them, of one task of eight.

function distributed(tasks: number, remote: PlanNode | null): PlanNode {
  const shown = remote === null ? [] : [{ Query: 'SELECT …', Node: 'host=…', 'Remote Plan': [[{ Plan: remote }]] }]
  const query = { Job: { 'Task Count': tasks, 'Tasks Shown': 'One of 8', Tasks: shown } }
  return {
    'Node Type': 'Custom Scan',
    'Custom Plan Provider': 'Citus Adaptive',
    'Plan Rows': 100_000,
    'Distributed Query': query,
  } as PlanNode
}

function scan(name: string): PlanNode {
  return { 'Node Type': 'Seq Scan', Schema: 'public', 'Relation Name': name, 'Plan Rows': 11 }
}

test('the shards of a task tell which partitions are read', () => {
  const pruned: PlanNode = {
    'Node Type': 'Append',
    'Plan Rows': 22,
    Plans: [scan('log_01_102008'), scan('log_02_102012')],
  }
  expect(shardsOf(distributed(8, pruned))).toEqual([
    { shard: 102008, matching: 11 },
    { shard: 102012, matching: 11 },
  ])
  expect(shardsOf(distributed(0, null))).toEqual([])
})

test('a plan that does not tell rules nothing out', () => {
  expect(shardsOf(undefined)).toBeNull()
  expect(shardsOf(scan('events_102008'))).toBeNull()
  expect(shardsOf(distributed(8, null))).toBeNull()
  expect(
    shardsOf(distributed(8, { 'Node Type': 'Custom Scan', 'Custom Plan Provider': 'ColumnarScan', 'Plan Rows': 1 })),
  ).toBeNull()
  expect(shardsOf(distributed(8, scan('events')))).toBeNull()
})

test.for([
  ['(0,0)', '(8,0)', '(4,0)'],
  ['(3,0)', '(4,0)', '(3,1024)'],
  ['(3,1024)', '(4,0)', '(3,1536)'],
  ['(3,4)', '(3,8)', '(3,6)'],
  ['(3,4)', '(3,5)', null],
  ['(3,2047)', '(4,0)', null],
  ['(3,7)', '(4,5)', '(4,0)'],
])('a range from %s to %s is halved at %s', ([after, upto, middle]) => {
  expect(middleOf(after ?? '', upto ?? '')).toBe(middle)
})
