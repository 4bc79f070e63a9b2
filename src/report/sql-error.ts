import type { DatabaseError } from 'pg'
import { isAboutARow, isRaised, mayShowValues, reasonOf } from '../db/sqlstate.ts'

/** Lines of context around the position. */
const SHOWN_AROUND = 2

/**
 * The error of PostgreSQL: code, detail, hint, context, and where it points into
 * a statement that is known, that statement with a caret below the place. What may
 * show values of rows (`Failing row contains …`) only where they are wanted.
 */
export function describeSqlError(error: DatabaseError, withValues = false): string[] {
  if (isAboutARow(error) && !withValues) return withoutValues(error)
  return [
    `SQLSTATE ${error.code ?? 'unknown'}: ${error.message}`,
    ...labelled('detail', error.detail),
    ...labelled('hint', error.hint),
    ...labelled('where', error.where),
    ...caret(error),
  ]
}

/** The context has values as well: of a COPY the field, of a function a statement that it has composed. */
function withoutValues(error: DatabaseError): string[] {
  const { code, detail, hint, where = '' } = error
  const places = where.split('\n').filter((line) => /^PL\/\w+ function "?[^"\s]/.test(line))
  return [
    `SQLSTATE ${code ?? 'unknown'}: ${mayShowValues(error) ? reasonOf(error) : error.message}`,
    ...(detail === undefined && !mayShowValues(error) ? [] : [HIDDEN]),
    ...labelled('hint', isRaised(error) ? undefined : hint),
    ...labelled('where', places.length === 0 ? undefined : places.join('\n')),
  ]
}

export const HIDDEN = 'detail: values of rows, shown with --show-values'

/** Whether the error comes from PostgreSQL. Not by class: a program may have its own copy of pg. */
export function isSqlError(error: unknown): error is DatabaseError {
  return error instanceof Error && 'code' in error && 'severity' in error && typeof error.code === 'string'
}

function labelled(label: string, text: string | undefined): string[] {
  return text === undefined ? [] : [`${label}: ${text}`]
}

// The protocol reports the position, and the statement only if it is an internal one (inside a function); for our own
// the session has the statement.
function caret(error: DatabaseError & { readonly statement?: unknown }): string[] {
  if (error.internalQuery !== undefined) return pointInto(error.internalQuery, Number(error.internalPosition))
  return typeof error.statement === 'string' ? pointInto(error.statement, Number(error.position)) : []
}

/** The lines around a position, which counts characters (not UTF-16 units) from 1, with a caret under it. */
export function pointInto(statement: string, position: number): string[] {
  if (!(position >= 1)) return []
  const before = [...statement].slice(0, position - 1).join('')
  const lines = statement.split('\n')
  const at = before.split('\n').length - 1
  const column = [...(before.split('\n').at(-1) ?? '')].map((character) => (character === '\t' ? '\t' : ' ')).join('')
  const first = Math.max(0, at - SHOWN_AROUND)
  return [...lines.slice(first, at + 1), `${column}^`, ...lines.slice(at + 1, at + 1 + SHOWN_AROUND)]
}
