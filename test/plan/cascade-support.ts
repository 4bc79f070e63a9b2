import { UNPUBLISHED } from '../support/models.ts'
import type {
  DeleteAction,
  GraphReference,
  GraphTable,
  ReferenceGraph,
} from '../../src/catalog/references/reference-graph.ts'
import type { TableName } from '../../src/sql/names.ts'

/** A table of 1000 rows in public; its name is its oid. */
export function graphTable(name: string, overrides: Partial<GraphTable> = {}): GraphTable {
  return {
    oid: name,
    name: named(name),
    owner: 'owner',
    partitioned: false,
    estimatedRows: 1000,
    mayDelete: true,
    mayVacuum: true,
    rowsHidden: false,
    published: UNPUBLISHED,
    disabledConstraints: [],
    ...overrides,
  }
}

/** `sessions → users`: the column is called after the table it points to. */
export function reference(arrow: string, overrides: Partial<GraphReference> = {}): GraphReference {
  const [from = '', to = ''] = arrow.split(' → ')
  return {
    name: `${from}_${to}_fkey`,
    from,
    to,
    pairs: [{ referring: `${to}_id`, referred: 'id', operator: 'operator(pg_catalog.=)', collation: null }],
    onDelete: 'no action',
    cannotSetNull: false,
    ontoPartition: false,
    temporal: false,
    indexed: true,
    readable: true,
    ...overrides,
  }
}

/** A graph below the table that the first arrow points to. An arrow may say what happens on delete: `b → a cascade`. */
export function graphOf(...arrows: string[]): ReferenceGraph {
  const references = arrows.map((arrow) => {
    const [, path = '', action] = /^(\S+ → \S+)(?: (.+))?$/.exec(arrow) ?? []
    return reference(path, action === undefined ? {} : { onDelete: action as DeleteAction })
  })
  return graphWith(references)
}

export function graphWith(references: readonly GraphReference[], tables: readonly GraphTable[] = []): ReferenceGraph {
  const names = [...new Set(references.flatMap(({ to, from }) => [to, from]))]
  const all = names.map((name) => tables.find(({ oid }) => oid === name) ?? graphTable(name))
  const [root] = all
  if (root === undefined) throw new Error('a graph without tables')
  return { root, tables: all, references, counts: true }
}

export function named(name: string): TableName {
  return { schema: 'public', name }
}
