import { comment } from '../../text/comment.ts'
import { statementComment } from '../../sql/spelled-out.ts'
import { raw, type Sql } from '../../sql/sql.ts'
import { batchStatement, countStatement, rangeStatement } from '../purge/batch.ts'
import type { BatchRange } from '../purge/batch-range.ts'
import { deleteReferring } from '../purge/stored-dependents.ts'
import { deleteTaken, isArchived, takeStored } from '../purge/stored-list.ts'
import type { PurgeLeaf, PurgeWork } from '../purge/work.ts'
import type { CheckStep, PurgeStep } from '../language/step.ts'

/** The statement a purge repeats, for its first leaf, as comments. */
export function explainPurging({ kind, work }: PurgeStep | CheckStep): string[] {
  const [leaf] = work.leaves
  if (leaf === undefined) return []
  const others = work.leaves.length === 1 ? '' : `, partition by partition (${work.leaves.length})`
  const range = placeholders(leaf)
  if (kind === 'check')
    return shown(`not plain SQL: Ebb repeats this range by range and adds up the results${others}`, [
      countStatement(work, leaf, leaf.walk.kind === 'blocks' ? range : { after: null, upto: null }),
    ])
  return shown(
    `not plain SQL: Ebb repeats this batch by batch${others}, records the position in the same transaction, and pauses when the server is busy`,
    leaf.stored === undefined
      ? [batchStatement(work, leaf, range, raw('…'), 'careful')]
      : storedStatements(work, leaf, { ...range, upto: range.upto ?? raw("'[a key further on]'::jsonb") }),
  )
}

/** Of what Citus stores, a batch may be several. */
function storedStatements(work: PurgeWork, leaf: PurgeLeaf, range: BatchRange): Sql[] {
  const batch = raw('…')
  return [
    ...(work.dependents.stored ?? []).map((dependent) => deleteReferring(work, leaf, range, dependent)),
    ...(isArchived(leaf)
      ? [takeStored(work, leaf, range, batch), deleteTaken(leaf, range, batch)]
      : [rangeStatement(work, leaf, range)]),
  ]
}

function placeholders({ walk }: PurgeLeaf) {
  return walk.kind === 'blocks'
    ? { after: raw("'(first block,0)'"), upto: raw("'(end block,0)'") }
    : { after: raw("'[the last key]'::jsonb"), upto: null }
}

function shown(what: string, statements: readonly Sql[]): string[] {
  const lines = statements.flatMap(({ text }) => statementComment(`${text.trim()};`, '    '))
  return [...comment(`${what}:`, '  '), ...lines]
}
