import { comment } from '../../text/comment.ts'
import { statementComment } from '../../sql/spelled-out.ts'
import type { RestoreStep } from '../language/step.ts'

/** The transaction of one object, as comments: its content comes from the store, and is checked on its way. */
export function explainRestoring({ object, statements }: RestoreStep): string[] {
  const transaction = ['begin', ...statements, 'commit']
  return [
    ...comment(`not plain SQL: Ebb reads ${object.name}, and checks it against the receipt before the commit:`, '  '),
    ...transaction.flatMap((statement) => statementComment(`${statement};`, '    ')),
  ]
}
