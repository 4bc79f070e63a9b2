// What a trigger function does with the row that it is given, as its text tells. PL/pgSQL is read by PostgreSQL's own
// grammar of it. What another function does that it calls is not looked at: that can only give a value back.

export interface TriggerFunction {
  /** Columns of the new row that it sets; null where that cannot be told. */
  readonly assigns: readonly string[] | null
  /** It asks for which table it fires: of a row of a partition that is the partition. */
  readonly readsTable: boolean
}

const TABLE_WORDS = /tg_(?:table_name|relname|relid)\b|_?TD\W+(?:table_name|relname|relid)\b/i

/** Reads a whole definition, `CREATE FUNCTION …`. */
export async function readTriggerFunction(definition: string, language: string): Promise<TriggerFunction> {
  const readsTable = TABLE_WORDS.test(definition)
  // Those in C that come with PostgreSQL itself fill columns of type tsvector, or none.
  if (language === 'internal') return { assigns: [], readsTable }
  return { assigns: language === 'plpgsql' ? await assignedIn(definition) : null, readsTable }
}

type Node = Readonly<Record<string, unknown>>

async function assignedIn(definition: string): Promise<string[] | null> {
  const { parsePlPgSQL } = await import('libpg-query')
  try {
    const parsed = (await parsePlPgSQL(definition)) as { readonly plpgsql_funcs: readonly Node[] }
    const { datums, action } = parsed.plpgsql_funcs[0]?.PLpgSQL_function as { datums: readonly Node[]; action: Node }
    const columns = assigned(action).map((number) => columnOfNew(datums, number))
    const others = columns.flatMap((column) => (column === undefined ? [] : [column]))
    return others.includes(null) ? null : [...new Set(others.flatMap((column) => column ?? []))]
  } catch {
    return null
  }
}

/** Numbers of the variables that a statement sets, itself or in what it consists of. Number 0, the new row, is left out of the JSON. */
function assigned(node: unknown): number[] {
  if (typeof node !== 'object' || node === null) return []
  if (Array.isArray(node)) return node.flatMap(assigned)
  return Object.entries(node as Node).flatMap(([kind, inner]) => [...setBy(kind, inner as Node), ...assigned(inner)])
}

function setBy(kind: string, inner: Node): number[] {
  switch (kind) {
    case 'PLpgSQL_stmt_assign':
    case 'PLpgSQL_stmt_foreach_a':
      return [numberOf(inner.varno)]
    case 'PLpgSQL_diag_item':
      return [numberOf(inner.target)]
    // What `into`, `fetch`, `call` and loops put a row into.
    case 'PLpgSQL_row':
      return (inner.fields as readonly Node[]).map(({ varno }) => numberOf(varno))
    case 'PLpgSQL_rec':
      return [numberOf(inner.dno)]
    case 'PLpgSQL_stmt_return':
      return isRowItself(inner) ? [] : [NEW]
    default:
      return []
  }
}

const NEW = 0
const OLD = 1

/** `return new`, `return old`, `return null`: any other row might have anything in it. */
function isRowItself({ retvarno, expr }: Node): boolean {
  if (expr === undefined) return retvarno === undefined || retvarno === NEW || retvarno === OLD
  const { query } = (expr as Node).PLpgSQL_expr as { query: string }
  return /^\s*(?:null|coalesce\s*\(\s*(?:new\s*,\s*old|old\s*,\s*new)\s*\))\s*$/i.test(query)
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : NEW
}

/** Null for the new row as a whole; undefined for what is none of it. */
function columnOfNew(datums: readonly Node[], number: number): string | null | undefined {
  if (number === NEW) return null
  const field = datums[number]?.PLpgSQL_recfield as Node | undefined
  return field !== undefined && numberOf(field.recparentno) === NEW ? String(field.fieldname) : undefined
}
