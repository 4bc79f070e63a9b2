import { comment } from '../../text/comment.ts'
import { statementComment } from '../../sql/spelled-out.ts'
import type { ArchiveStep } from '../language/step.ts'

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
