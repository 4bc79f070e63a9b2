import { EbbError, NOTHING_CHANGED } from '../errors.ts'
import { isDropTable } from './drop-table.ts'

// Statements that execute nothing but themselves: no function, operator or query, whatever tables they name. Checked
// with PostgreSQL's own grammar.

/** The allowed statements on tables, by the names of the grammar. */
const PLAIN = new Set([
  'AlterTableStmt',
  'CreateStmt',
  'DropStmt',
  'GrantStmt',
  'LockStmt',
  'VacuumStmt',
  'VariableSetStmt',
])

/** Nodes that execute something. */
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
 * Checks that each text is one plain statement.
 *
 * @throws {EbbError} when one is not
 */
export async function assertPlain(statements: readonly string[]): Promise<void> {
  const { parse } = await import('libpg-query')
  for (const statement of statements.filter((one) => !isDropTable(one))) {
    const { stmts = [] } = (await parse(statement)) as { stmts?: readonly { readonly stmt?: object }[] }
    const [kind = ''] = Object.keys(stmts[0]?.stmt ?? {})
    if (stmts.length !== 1 || !PLAIN.has(kind) || executes(stmts)) throw notPlain()
  }
}

function executes(node: unknown): boolean {
  if (typeof node !== 'object' || node === null) return false
  return Object.entries(node).some(([kind, value]) => EXECUTES.has(kind) || executes(value))
}

// The text is not shown: it may be of any length, from anyone.
function notPlain(): EbbError {
  return new EbbError(
    'a statement built from the stored run would do more than what is left of the plan',
    { state: NOTHING_CHANGED, next: 'Find out who wrote to the journal.' },
    'objections',
  )
}
