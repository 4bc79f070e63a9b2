import { describe, expect, test } from 'vitest'
import type { PlanNode } from '../../src/catalog/explain.ts'
import { readingOf } from '../../src/catalog/partitions/planned-leaves.ts'

// What EXPLAIN says of where rows are, read without a server. The plans of extensions are as TimescaleDB 2.19 and 2.31 and Citus give them.

function scan(name: string, more: Partial<PlanNode> = {}): PlanNode {
  return { 'Node Type': 'Seq Scan', Schema: 'public', 'Relation Name': name, 'Plan Rows': 10, ...more }
}

function node(type: string, plans: readonly PlanNode[], more: Partial<PlanNode> = {}): PlanNode {
  return { 'Node Type': type, 'Plan Rows': 10, Plans: plans, ...more }
}

function names(plan: PlanNode): string[] {
  return readingOf(plan).leaves.map(({ name }) => name.name)
}

describe('leaf tables of a plan', () => {
  test('are the tables scanned, each with the index used', () => {
    const bitmap = scan('b', {
      'Node Type': 'Bitmap Heap Scan',
      Plans: [node('Bitmap Index Scan', [], { 'Index Name': 'b_at' })],
    })
    const index = scan('c', { 'Node Type': 'Index Scan', 'Index Name': 'c_at' })
    const { leaves, unknown } = readingOf(node('Append', [scan('a'), bitmap, index]))
    expect(leaves.map(({ name, index: by }) => [name.name, by])).toEqual([
      ['a', null],
      ['b', 'b_at'],
      ['c', 'c_at'],
    ])
    expect(unknown).toEqual([])
  })

  test('are none if the planner has excluded everything', () => {
    expect(readingOf(node('Result', [], { 'One-Time Filter': 'false' }))).toEqual({ leaves: [], unknown: [] })
  })

  test.for(['ChunkAppend', 'ConstraintAwareAppend'])('are the chunks of a hypertable below %s', (provider) => {
    const hypertable = { 'Custom Plan Provider': provider, Schema: 'public', 'Relation Name': 'm' }
    const chunks = node('Append', [scan('_hyper_1_1_chunk'), scan('_hyper_1_2_chunk')])
    const { leaves, unknown } = readingOf(node('Custom Scan', [chunks], hypertable))
    expect(leaves.map(({ name }) => name.name)).toEqual(['_hyper_1_1_chunk', '_hyper_1_2_chunk'])
    expect(unknown).toEqual([])
    const compressed = node('Custom Scan', [scan('c')], { 'Custom Plan Provider': 'ColumnarScan' })
    expect(readingOf(node('Custom Scan', [compressed], hypertable)).unknown).toEqual(['Custom Scan (ColumnarScan)'])
  })

  test('do not include tables read by the condition itself', () => {
    const lookUp = scan('other', {
      'Parent Relationship': 'SubPlan',
      'Node Type': 'Index Scan',
      'Index Name': 'other_id',
    })
    const { leaves } = readingOf(scan('a', { Plans: [lookUp] }))
    expect(leaves).toMatchObject([{ name: { name: 'a' }, index: null }])
    expect(names(node('Append', [scan('a'), { ...lookUp, 'Parent Relationship': 'InitPlan' }]))).toEqual(['a'])
  })
})

describe('an unknown plan node', () => {
  test.for<[string, PlanNode, string[]]>([
    [
      'hypertable, compressed',
      node('Append', [
        scan('_hyper_1_2_chunk'),
        node('Custom Scan', [scan('compress_1')], {
          'Custom Plan Provider': 'DecompressChunk',
          Schema: 'public',
          'Relation Name': '_hyper_1_1_chunk',
        }),
      ]),
      ['Custom Scan (DecompressChunk)'],
    ],
    [
      'hypertable, empty, to be deleted from',
      node('Custom Scan', [node('ModifyTable', [node('Result', [])], { Schema: 'public', 'Relation Name': 'm' })], {
        'Custom Plan Provider': 'HypertableModify',
      }),
      ['Custom Scan (HypertableModify)'],
    ],
    [
      'distributed table',
      node('Custom Scan', [], { 'Custom Plan Provider': 'Citus Adaptive' }),
      ['Custom Scan (Citus Adaptive)'],
    ],
    ['function', node('Function Scan', []), ['Function Scan']],
    ['join', node('Hash Join', [scan('a'), scan('b')]), ['Hash Join']],
  ])('is never ignored: %s', ([, plan, unknown]) => {
    expect(readingOf(plan).unknown).toEqual(unknown)
  })
})
