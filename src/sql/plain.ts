import { EbbError, NOTHING_CHANGED } from '../errors.ts'

// Statements that execute nothing but themselves: no function, operator or
// query of anybody's, whatever tables they name. PostgreSQL's own grammar says so.

/** What may be said of tables, by the names of the grammar. */
const PLAIN = new Set([
  'AlterTableStmt',
  'CreateStmt',
  'DropStmt',
  'GrantStmt',
  'LockStmt',
  'VacuumStmt',
  'VariableSetStmt',
])

/** What executes something. */
const EXECUTES = new Set([
  'FuncCall',
  'A_Expr',
  'SubLink',
  'SelectStmt',
  'CoerceViaIO',
  'XmlExpr',
  'JsonFuncExpr',
  'SQLValueFunction',
])

/**
 * Makes sure that each text is one plain statement.
 *
 * @throws {EbbError} when one is not
 */
export async function assertPlain(statements: readonly string[]): Promise<void> {
  const { parse } = await import('libpg-query')
  for (const statement of statements) {
    const { stmts = [] } = (await parse(statement)) as { stmts?: readonly { readonly stmt?: object }[] }
    const [kind = ''] = Object.keys(stmts[0]?.stmt ?? {})
    if (stmts.length !== 1 || !PLAIN.has(kind) || executes(stmts)) throw notPlain()
  }
}

function executes(node: unknown): boolean {
  if (typeof node !== 'object' || node === null) return false
  return Object.entries(node).some(([kind, value]) => EXECUTES.has(kind) || executes(value))
}

// What it says is not shown: it may be of any length, and anybody's.
function notPlain(): EbbError {
  return new EbbError(
    'what is stored of the run would make a statement that does more than is left to be done',
    { state: NOTHING_CHANGED, next: 'See who has written to the journal.' },
    'objections',
  )
}
