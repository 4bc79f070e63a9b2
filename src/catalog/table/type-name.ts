import { readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { codeOf, SQLSTATE } from '../../db/sqlstate.ts'
import { EbbError, NOTHING_CHANGED } from '../../errors.ts'
import { sql } from '../../sql/sql.ts'

// The type of a column as a receipt has it becomes part of a statement, so it must be the name of a type and nothing else.
// PostgreSQL's own grammar for that is what `to_regtype` applies to the whole text. But it passes over comments, and takes
// numbers (findings/to-regtype-takes-a-number-for-a-type.sh): outside of quoted names there may only be what `format_type`
// writes. Without other quotes, quoted names are told with certainty.

const QUOTED = /"[^"]*"/g
/** Of what a name consists, with a modifier or brackets: `timestamp(3) with time zone`, `numeric(3,-2)`, `text[]`. */
const WRITTEN = /^[a-z_][\w .,()[\]-]*$/i

/**
 * Checks that a text is the name of a type, which there need not be.
 *
 * @throws {EbbError} when it is not
 */
export async function assertTypeName(session: Session, type: string): Promise<void> {
  const outside = type.replaceAll(QUOTED, 'q')
  if (!WRITTEN.test(outside) || outside.includes('--')) throw notAType(type)
  try {
    await readOne(session, sql`select to_regtype(${type})`)
  } catch (error) {
    throw isAboutTheName(error) ? notAType(type, error) : error
  }
}

/** It is no name, or has a modifier that its type does not take. */
function isAboutTheName(error: unknown): boolean {
  const code = codeOf(error) ?? ''
  return code === SQLSTATE.syntaxError || code === SQLSTATE.featureNotSupported || code.startsWith('22')
}

function notAType(type: string, cause?: unknown): EbbError {
  return new EbbError(
    `the receipt names a type that cannot be read: ${JSON.stringify(type.slice(0, LONGEST_SHOWN))}`,
    { state: NOTHING_CHANGED, next: 'Restore into an existing table: its own types are used then.' },
    'objections',
    cause,
  )
}

const LONGEST_SHOWN = 80
