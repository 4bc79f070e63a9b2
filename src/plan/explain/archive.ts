import { comment } from '../../text/comment.ts'
import { statementComment } from '../../sql/spelled-out.ts'
import type { ArchiveStep, MoveStep, RewriteStep } from '../language/step.ts'

/** What is sent to a store, as comments: psql cannot store it with a receipt. */
export function explainArchive({ statements }: ArchiveStep): string[] {
  const lines = ['begin isolation level repeatable read;', ...statements.map((one) => `${one};`), 'commit;']
  return [
    ...comment(
      'not plain SQL: Ebb stores what this sends, counts the rows, reads the objects back and writes the receipt:',
      '  ',
    ),
    ...lines.flatMap((line) => statementComment(line, '    ')),
  ]
}

/** What psql cannot do: a session on the other server. */
export function explainMoving({ server, statements }: MoveStep): string[] {
  if (statements.length > 0)
    return [
      ...comment(
        `on ${server}, if the comment of the table is still that of Ebb, and all its rows have expired:`,
        '  ',
      ),
      ...statements.flatMap((one) => statementComment(`${one};`, '    ')),
    ]
  return comment(
    `not plain SQL: on ${server}, Ebb creates the table, copies the rows into it and builds its keys and indexes, all in one transaction; then it compares both sides row by row, through a foreign table`,
    '  ',
  )
}

/** What Ebb does with it: between the copy and the exchange it compares what psql would not. */
export function explainRewriting({ fingerprint, statements, analyze }: RewriteStep): string[] {
  const lines = ['begin;', ...[fingerprint, ...statements].map((one) => `${one};`), 'commit;', `${analyze};`]
  return [
    ...comment(
      'not plain SQL: Ebb does this, and goes on only if the first query tells the same when nobody can write to the partition any more:',
      '  ',
    ),
    ...lines.flatMap((line) => statementComment(line, '    ')),
  ]
}
