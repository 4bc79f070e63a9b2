import { quoted } from '../../sql/names.ts'
import { statementComment } from '../../sql/spelled-out.ts'
import { ident, join, sql } from '../../sql/sql.ts'
import { comment } from '../../text/comment.ts'
import type { ArchiveSetStep, RemovalStep } from '../language/step.ts'
import { keysIn } from '../purge/archive/listing.ts'
import type { ArchivedKeys } from '../purge/archive/work.ts'

/** What an archive reads, as comments. */
export function explainArchivedPurge(step: ArchiveSetStep | RemovalStep): string[] {
  if (step.kind === 'removal') return pattern(REMOVAL, step.sets.map(selectKeys))
  const { preparation, rows } = step.work
  return pattern('not plain SQL: Ebb stores what this reads, and reads it back', [
    'begin isolation level repeatable read;',
    ...preparation.map((statement) => `${statement};`),
    ...rows.map(
      ({ table, chosen }) => `copy (select … from ${quoted(table).text} t ${chosen}) to stdout (format csv, header);`,
    ),
    'commit;',
  ])
}

const REMOVAL = 'not plain SQL: Ebb stores the keys of the archived rows that are not deleted'

function selectKeys(keys: ArchivedKeys): string {
  const { columns, from } = keysIn(keys)
  return sql`select ${join(columns.map((name) => ident(name)))} from ${from};`.text
}

function pattern(what: string, statements: readonly string[]): string[] {
  return [...comment(`${what}:`, '  '), ...statements.flatMap((statement) => statementComment(statement, '    '))]
}
