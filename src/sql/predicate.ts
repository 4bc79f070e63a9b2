import { UsageError } from '../errors.ts'

/** A condition on the rows of one table, checked by PostgreSQL's own grammar. */
export interface Predicate {
  /** As the user wrote it. */
  readonly written: string
  /** With `now()` replaced by the moment that was fixed; to be put in parentheses. */
  readonly text: string
  /** Functions it calls, for the server to say whether one is volatile. */
  readonly functions: readonly (readonly string[])[]
}

/** What stands before the condition while it is parsed. */
const PREFIX = 'select from t where '

/**
 * Reads a condition: one boolean expression over the table's columns, without
 * subqueries, aggregates or parameters. `now()` becomes `moment`, a timestamptz
 * literal, so that every batch and every resumption means the same rows.
 *
 * @throws {UsageError} with a caret under the place that is wrong
 */
export async function parsePredicate(written: string, moment: string): Promise<Predicate> {
  // 2.8 MB of WebAssembly: loaded when there is a condition to read.
  const { parse } = await import('libpg-query')
  let tree: unknown
  try {
    tree = await parse(`${PREFIX}(${written}\n)`)
  } catch (error) {
    throw syntaxError(written, error)
  }
  const where = onlyCondition(tree, written)
  const found = new Walk(written)
  found.visit(where)
  return { written, text: fixMoment(written, found.moments, moment), functions: found.functions }
}

interface Moment {
  /** In bytes of the UTF-8 text. */
  readonly at: number
}

const OPENING = Buffer.byteLength(`${PREFIX}(`)
const NOW = /^(?:now|transaction_timestamp|current_timestamp)(?:\s*\(\s*\))?/i
const FIXED = new Set(['now', 'transaction_timestamp'])
const SESSION_CLOCKS: Readonly<Record<string, string>> = {
  SVFOP_CURRENT_DATE: 'current_date',
  SVFOP_CURRENT_TIME: 'current_time',
  SVFOP_LOCALTIME: 'localtime',
  SVFOP_LOCALTIMESTAMP: 'localtimestamp',
}
const REFUSED: Readonly<Record<string, string>> = {
  SubLink: 'a subquery',
  ParamRef: 'a parameter',
  SetToDefault: 'DEFAULT',
  GroupingFunc: 'GROUPING',
}

/** Collects what matters of an expression, and refuses what a condition on single rows cannot hold. */
class Walk {
  readonly moments: Moment[] = []
  readonly functions: string[][] = []
  private readonly written: string

  constructor(written: string) {
    this.written = written
  }

  visit(node: unknown): void {
    if (Array.isArray(node)) for (const item of node) this.visit(item)
    if (typeof node !== 'object' || node === null || Array.isArray(node)) return
    for (const [kind, value] of Object.entries(node)) {
      const refused = REFUSED[kind]
      if (refused !== undefined) throw notAllowed(this.written, refused)
      if (kind === 'FuncCall') this.call(value as FuncCall)
      if (kind === 'SQLValueFunction') this.sessionValue(value as { op: string; location?: number })
      this.visit(value)
    }
  }

  private call(call: FuncCall): void {
    if (call.over !== undefined) throw notAllowed(this.written, 'a window function')
    const name = call.funcname.map((part) => part.String?.sval ?? '')
    const last = name.at(-1) ?? ''
    if (FIXED.has(last) && (name.length === 1 || name[0] === 'pg_catalog'))
      this.moments.push({ at: call.location ?? 0 })
    else this.functions.push(name)
  }

  private sessionValue({ op, location }: { op: string; location?: number }): void {
    const clock = SESSION_CLOCKS[op]
    if (clock !== undefined)
      throw notAllowed(this.written, `${clock}, which depends on the session’s time zone (use now())`)
    if (op === 'SVFOP_CURRENT_TIMESTAMP') this.moments.push({ at: location ?? 0 })
  }
}

interface FuncCall {
  readonly funcname: readonly { readonly String?: { readonly sval?: string } }[]
  readonly location?: number
  readonly over?: unknown
}

// The text outside of these places is left exactly as it was written.
function fixMoment(written: string, moments: readonly Moment[], moment: string): string {
  const bytes = Buffer.from(written)
  let text = ''
  let from = 0
  for (const { at } of [...moments].sort((a, b) => a.at - b.at)) {
    const start = at - OPENING
    const match = /^(?:pg_catalog\s*\.\s*)?/i.exec(bytes.subarray(start).toString())?.[0] ?? ''
    const call = NOW.exec(bytes.subarray(start + match.length).toString())
    if (call === null) throw notAllowed(written, 'now() written in an unusual way')
    text += bytes.subarray(from, start).toString() + `'${moment}'::pg_catalog.timestamptz`
    from = start + match.length + Buffer.byteLength(call[0])
  }
  return text + bytes.subarray(from).toString()
}

interface Parsed {
  readonly stmts?: readonly { readonly stmt?: { readonly SelectStmt?: Record<string, unknown> } }[]
}

/** The condition, when the text was one condition and nothing but that. */
function onlyCondition(tree: unknown, written: string): unknown {
  const { stmts = [] } = tree as Parsed
  const select = stmts[0]?.stmt?.SelectStmt
  const allowed = new Set(['fromClause', 'whereClause', 'limitOption', 'op'])
  const extra = Object.keys(select ?? {}).filter((key) => !allowed.has(key))
  if (stmts.length !== 1 || select === undefined || extra.length > 0 || select['op'] !== 'SETOP_NONE')
    throw notAllowed(written, 'more than one condition')
  return select['whereClause']
}

function notAllowed(written: string, what: string): UsageError {
  return new UsageError(
    `the condition contains ${what}: ${written}`,
    'Write one expression that is true or false for each row by itself, over the columns of the table.',
  )
}

function syntaxError(written: string, error: unknown): UsageError {
  const position = (error as { sqlDetails?: { cursorPosition?: number } }).sqlDetails?.cursorPosition
  const reason = error instanceof Error ? error.message : String(error)
  const at = position === undefined ? null : Math.max(0, position - OPENING - 1)
  const caret = at === null ? '' : `\n  ${written}\n  ${' '.repeat(at)}^`
  return new UsageError(
    `the condition cannot be read: ${reason}${caret}`,
    'Correct it; it is read as PostgreSQL reads what stands after WHERE.',
    error,
  )
}
