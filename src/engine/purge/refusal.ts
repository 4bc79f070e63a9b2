import { codeOf, isAboutARow, SQLSTATE } from '../../db/sqlstate.ts'
import { display } from '../../sql/names.ts'
import { OverreachError } from './changes.ts'

/** A row of the batch cannot go, or be marked, as things are: others may without it. */
class RefusedError extends Error {
  override readonly name = 'RefusedError'
}

/** Does what deletes or marks rows; where a row refuses, that is what is thrown, with the reason and without values of rows. */
export async function orRefused<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const why = whyRefused(error)
    throw why === null ? error : new RefusedError(why, { cause: error })
  }
}

/** Why, where that is what the error says. That it appeared a moment ago and is seen next time is one reason. */
export function refusalOf(error: unknown): string | null {
  return error instanceof RefusedError ? error.message : null
}

function whyRefused(error: unknown): string | null {
  if (error instanceof OverreachError) return error.message
  if (!isAboutARow(error)) return null
  const code = codeOf(error)
  if (code === SQLSTATE.triggeredDataChange) return 'a trigger deletes or changes what goes with them'
  return constrained(error) ?? raised(error)
}

/** What PostgreSQL tells of an error besides its text. */
interface ErrorFields {
  readonly schema?: string
  readonly table?: string
  readonly column?: string
  readonly dataType?: string
  readonly constraint?: string
  readonly where?: string
}

const HELD: readonly (string | undefined)[] = [SQLSTATE.foreignKeyViolation, SQLSTATE.restrictViolation]

function constrained(error: unknown): string | null {
  const { schema, table, column, dataType, constraint } = error as ErrorFields
  const of = table ?? dataType
  // Of an error on another node no more is known than its code.
  if (schema === undefined || of === undefined) return HELD.includes(codeOf(error)) ? 'a foreign key holds them' : null
  const name = `${display({ schema, name: of })}.${constraint ?? column ?? ''}`
  if (HELD.includes(codeOf(error))) return `${name} holds them`
  return codeOf(error) === SQLSTATE.notNullViolation ? `${name} would be null` : `${name} would be violated`
}

/** Named is the function in which it was, not what it says: that may be made of values. */
function raised(error: unknown): string {
  const [, where] = /^PL\/pgSQL function (.+? line \d+)/m.exec((error as ErrorFields).where ?? '') ?? []
  return `a trigger or a function refuses them (SQLSTATE ${codeOf(error)}${where === undefined ? '' : `, in ${where}`})`
}
