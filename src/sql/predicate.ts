import { messageOf, UsageError } from '../errors.ts'

/** A condition on the rows of one table, checked by PostgreSQL's own grammar. */
export interface Predicate {
  /** As the user wrote it. */
  readonly written: string
  /** With `now()` replaced by the fixed moment; to be put in parentheses. */
  readonly text: string
  /** Null for a condition made by Ebb itself. */
  readonly uses: Uses | null
}

/** The names used in a condition, without schemas: the server resolves them. */
export interface Uses {
  readonly functions: readonly string[]
  readonly columns: readonly string[]
  /** Types in casts. */
  readonly types: readonly string[]
  readonly operators: readonly string[]
}

/**
 * The prefix of a condition for parsing, with a parenthesis after it. As the only field of a row it cannot break out:
 * in plain parentheses `true) or (true` would, and change the meaning of other conditions next to it.
 */
const BEFORE = 'select from t where row('
const WAY_OUT = 'Write one boolean expression over the columns of the table, true or false for each row on its own.'

/**
 * Parses a condition: one boolean expression over the table's columns, without subqueries, aggregates or parameters.
 * `now()` becomes `moment`, a timestamptz literal, so that every batch and every resumed run selects the same rows.
 *
 * @throws {UsageError} with a caret under the error position
 */
export async function parsePredicate(written: string, moment: string): Promise<Predicate> {
  // 2.8 MB of WebAssembly: loaded only if there is a condition.
  const { parse } = await import('libpg-query')
  let tree: unknown
  try {
    tree = await parse(`${BEFORE}${written}\n)`)
  } catch (error) {
    throw syntaxError(written, error)
  }
  const condition = onlyCondition(tree, written)
  const found = new Walk(written)
  found.visit(condition)
  return { written, text: fixMoment(written, found.moments, moment), uses: found.uses() }
}

/** A text with a caret under its character number `at`, counted from 0 and in whole characters. */
export function pointAt(text: string, at: number): string {
  const before = [...text].slice(0, Math.max(0, at)).join('')
  const line = before.split('\n').length - 1
  const column = [...(before.split('\n').at(-1) ?? '')].length
  const lines = text.split('\n').slice(0, line + 1)
  return [...lines, ' '.repeat(column) + '^'].map((one) => `\n  ${one}`).join('')
}

const NOW = /^(?:(?:now|transaction_timestamp)\s*\(\s*\)|current_timestamp)/i
const FIXED = new Set(['now', 'transaction_timestamp'])
const USE_NOW = 'use now(), which is fixed once at the start'
/** They advance from chunk to chunk, or depend on the time zone of the session. */
const CLOCKS: Readonly<Record<string, string>> = {
  SVFOP_CURRENT_DATE: 'current_date',
  SVFOP_CURRENT_TIME: 'current_time',
  SVFOP_CURRENT_TIME_N: 'current_time',
  SVFOP_CURRENT_TIMESTAMP_N: 'current_timestamp with a precision',
  SVFOP_LOCALTIME: 'localtime',
  SVFOP_LOCALTIME_N: 'localtime',
  SVFOP_LOCALTIMESTAMP: 'localtimestamp',
  SVFOP_LOCALTIMESTAMP_N: 'localtimestamp',
}
const REFUSED: Readonly<Record<string, string>> = {
  SubLink: 'a subquery',
  ParamRef: 'a parameter',
  SetToDefault: 'DEFAULT',
  GroupingFunc: 'GROUPING',
}
/** They describe the physical row, which a copy changes. */
const SYSTEM_COLUMNS = new Set(['ctid', 'xmin', 'xmax', 'cmin', 'cmax', 'tableoid'])
/** Special inputs of the date and time types that change with time. Others, like `infinity`, are constant. */
const MOVING_WORD = /^\s*(?:now|today|tomorrow|yesterday)(?:\s+(?:[\d:.]+|allballs))?\s*$/i
const TEXTS = new Set(['text', 'varchar', 'bpchar', 'name'])

interface Located {
  /** In bytes of the parsed UTF-8 text. */
  readonly location?: number
}

interface Named extends Located {
  readonly fields?: readonly StringNode[]
}

interface FuncCall extends Located {
  readonly funcname: readonly StringNode[]
  readonly args?: readonly unknown[]
  readonly over?: unknown
}

interface TypeCast {
  readonly arg?: { readonly A_Const?: unknown }
  readonly typeName?: { readonly names?: readonly StringNode[] }
}

interface Operation {
  readonly name?: readonly StringNode[]
}

interface Constant extends Located {
  readonly sval?: { readonly sval?: string }
}

interface StringNode {
  readonly String?: { readonly sval?: string }
}

/** Collects the parts of an expression, and refuses what a condition on single rows cannot contain. */
class Walk {
  readonly moments: number[] = []
  private readonly functions = new Set<string>()
  private readonly columns = new Set<string>()
  private readonly types = new Set<string>()
  private readonly operators = new Set<string>()
  private readonly written: string

  constructor(written: string) {
    this.written = written
  }

  visit(node: unknown): void {
    if (Array.isArray(node)) for (const item of node) this.visit(item)
    if (typeof node !== 'object' || node === null || Array.isArray(node)) return
    for (const [kind, value] of Object.entries(node)) {
      const refused = REFUSED[kind]
      if (refused !== undefined) throw notAllowed(this.written, refused, value as Located)
      if (kind === 'FuncCall') this.call(value as FuncCall)
      if (kind === 'SQLValueFunction') this.sessionValue(value as Located & { op: string })
      if (kind === 'ColumnRef') this.column(value as Named)
      if (kind === 'A_Const') this.constant(value as Constant)
      if (kind === 'TypeCast' && isText(value as TypeCast)) continue
      if (kind === 'TypeCast') this.types.add(lastOf((value as TypeCast).typeName?.names))
      if (kind === 'A_Expr') this.operators.add(lastOf((value as Operation).name))
      this.visit(value)
    }
  }

  uses(): Uses {
    // What now() becomes is one.
    const types = this.moments.length > 0 ? new Set([...this.types, 'timestamptz']) : this.types
    return {
      functions: [...this.functions],
      columns: [...this.columns],
      types: [...types],
      operators: [...this.operators],
    }
  }

  private call(call: FuncCall): void {
    if (call.over !== undefined) throw notAllowed(this.written, 'a window function', call)
    const name = call.funcname.map((part) => part.String?.sval ?? '')
    const last = name.at(-1) ?? ''
    const builtIn = name.length === 1 || name[0] === 'pg_catalog'
    if (builtIn && FIXED.has(last)) this.moments.push(call.location ?? 0)
    else if (builtIn && last === 'statement_timestamp')
      throw notAllowed(this.written, 'statement_timestamp(), which advances with each statement', call, USE_NOW)
    else if (builtIn && last === 'age' && call.args?.length === 1)
      throw notAllowed(this.written, 'age() of one argument, which counts from the current date', call, USE_NOW)
    else this.functions.add(last)
  }

  private sessionValue(value: Located & { op: string }): void {
    const clock = CLOCKS[value.op]
    if (clock !== undefined) throw notAllowed(this.written, clock, value, USE_NOW)
    if (value.op === 'SVFOP_CURRENT_TIMESTAMP') this.moments.push(value.location ?? 0)
  }

  private column(column: Named): void {
    const name = column.fields?.at(-1)?.String?.sval ?? ''
    if (SYSTEM_COLUMNS.has(name)) throw notAllowed(this.written, `the system column ${name}`, column)
    // The alias of the table differs between statements.
    if ((column.fields?.length ?? 0) > 1)
      throw notAllowed(this.written, 'a column qualified with a table name', column, 'write the column name alone')
    this.columns.add(name)
  }

  private constant(constant: Constant): void {
    const text = constant.sval?.sval
    if (text === undefined || !MOVING_WORD.test(text)) return
    const hint = `${USE_NOW}; for the literal text, write '${text}'::text`
    throw notAllowed(this.written, `'${text}', which is a different time each day`, constant, hint)
  }
}

function lastOf(names: readonly StringNode[] | undefined): string {
  return names?.at(-1)?.String?.sval ?? ''
}

/** A constant cast to text. */
function isText({ arg, typeName }: TypeCast): boolean {
  return arg?.A_Const !== undefined && TEXTS.has(typeName?.names?.at(-1)?.String?.sval ?? '')
}

// The text outside these places is unchanged.
function fixMoment(written: string, moments: readonly number[], moment: string): string {
  const bytes = Buffer.from(written)
  let text = ''
  let from = 0
  for (const location of [...moments].sort((a, b) => a - b)) {
    const start = location - Buffer.byteLength(BEFORE)
    const qualifier = /^(?:pg_catalog\s*\.\s*)?/i.exec(bytes.subarray(start).toString())?.[0] ?? ''
    const call = NOW.exec(bytes.subarray(start + qualifier.length).toString())
    if (call === null) throw notAllowed(written, 'now() in an unsupported spelling', { location })
    text += bytes.subarray(from, start).toString() + `'${moment}'::pg_catalog.timestamptz`
    from = start + qualifier.length + Buffer.byteLength(call[0])
  }
  return text + bytes.subarray(from).toString()
}

interface Parsed {
  readonly stmts?: readonly { readonly stmt?: { readonly SelectStmt?: Record<string, unknown> } }[]
}

/** The condition, if the text is exactly one condition. */
function onlyCondition(tree: unknown, written: string): unknown {
  const { stmts = [] } = tree as Parsed
  const select = stmts[0]?.stmt?.SelectStmt
  const allowed = new Set(['fromClause', 'whereClause', 'limitOption', 'op'])
  const extra = Object.keys(select ?? {}).filter((key) => !allowed.has(key))
  const { RowExpr: row } = (select?.['whereClause'] ?? {}) as { RowExpr?: { args?: readonly unknown[] } }
  if (stmts.length !== 1 || extra.length > 0 || row === undefined || (row.args?.length ?? 0) > 1)
    throw notAllowed(written, 'more than one condition', {})
  if (row.args === undefined) throw new UsageError('the condition is empty', WAY_OUT)
  return row.args[0]
}

function notAllowed(written: string, what: string, { location }: Located, hint?: string): UsageError {
  const start = location === undefined ? null : location - Buffer.byteLength(BEFORE)
  const at = start === null ? 0 : [...Buffer.from(written).subarray(0, start).toString()].length
  const next = hint === undefined ? WAY_OUT : `${hint.charAt(0).toUpperCase()}${hint.slice(1)}.`
  return new UsageError(`the condition contains ${what}:${pointAt(written, at)}`, next)
}

function syntaxError(written: string, error: unknown): UsageError {
  // Counted in characters, from 0.
  const position = (error as { sqlDetails?: { cursorPosition?: number } }).sqlDetails?.cursorPosition
  const at = Math.min((position ?? 0) - BEFORE.length, [...written].length)
  // The parenthesis after the condition is ours.
  const beyond = at === [...written].length
  const reason = beyond ? 'syntax error at end of input' : messageOf(error)
  return new UsageError(
    `the condition cannot be read: ${reason}${position === undefined ? '' : pointAt(written, at)}`,
    'Correct it; the syntax is that of a WHERE clause.',
    error,
  )
}
