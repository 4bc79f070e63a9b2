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

/** What PostgreSQL's grammar makes of `select null::<type>`, but for places in the text. */
const CAST = ['SelectStmt', 'TypeCast', 'ResTarget', 'A_Const', 'String', 'Integer']
const FIELDS = [
  'targetList',
  'limitOption',
  'op',
  'val',
  'arg',
  'isnull',
  'typeName',
  'names',
  'typmods',
  'typemod',
  'arrayBounds',
]
const VALUES = ['sval', 'ival']
const KNOWN = new Set([...CAST, ...FIELDS, ...VALUES, 'stmt', 'location'])

/**
 * Checks that a text is the name of a type, and nothing else.
 *
 * @throws {EbbError} when it is not
 */
export async function assertPlainType(type: string): Promise<void> {
  const { parse } = await import('libpg-query')
  const tree = await parse(`select null::${type}`).catch(() => null)
  const { stmts = [] } = (tree ?? {}) as { stmts?: readonly unknown[] }
  const fields = fieldsOf(stmts)
  const once = ['stmt', 'TypeCast', 'ResTarget'].every((name) => fields.filter((one) => one === name).length === 1)
  if (once && fields.every((name) => KNOWN.has(name)) && !/--|\/\*/.test(type)) return
  throw new EbbError(
    `the receipt names a type that cannot be read: ${JSON.stringify(type.slice(0, LONGEST_SHOWN))}`,
    { state: NOTHING_CHANGED, next: 'Restore into an existing table: its own types are used then.' },
    'objections',
  )
}

const LONGEST_SHOWN = 80

function fieldsOf(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return []
  if (Array.isArray(node)) return node.flatMap(fieldsOf)
  return Object.entries(node).flatMap(([name, value]) => [name, ...fieldsOf(value)])
}
