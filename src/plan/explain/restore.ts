import { comment } from '../../text/comment.ts'
import { statementComment } from '../../sql/spelled-out.ts'
import type { RestoreStep } from '../language/step.ts'

/** A transaction of objects, as comments: their content comes from the store, and is checked on its way. */
export function explainRestoring({ objects, statements }: RestoreStep): string[] {
  const names = objects.map(({ name }) => name).join(', ')
  const transaction = ['begin', ...statements, 'commit']
  return [
    ...comment(
      `not plain SQL: Ebb reads ${names}, and checks what it reads against the receipt before the commit:`,
      '  ',
    ),
    ...transaction.flatMap((statement) => statementComment(`${statement};`, '    ')),
  ]
}
