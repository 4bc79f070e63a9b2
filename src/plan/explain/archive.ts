import { comment } from '../../text/comment.ts'
import { statementComment } from '../../sql/spelled-out.ts'
import type { ArchiveStep, MoveStep } from '../language/step.ts'

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

/** What psql cannot do: the table on the other server is created by a session there. */
export function explainMoving({ server }: MoveStep): string[] {
  return comment(
    `not plain SQL: on ${server}, Ebb creates the table, copies the rows into it and builds its keys and indexes, all in one transaction; then it compares both sides row by row, through a foreign table`,
    '  ',
  )
}
