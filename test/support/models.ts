import type { Published } from '../../src/catalog/table/published.ts'
import type { ColumnPair } from '../../src/catalog/references/foreign-key.ts'
import type { ConditionFacts } from '../../src/catalog/condition/condition.ts'
import type { LeafIndex, LeafModel } from '../../src/catalog/partitions/purge-leaves.ts'
import type { ServerModel } from '../../src/catalog/server-model.ts'
import type { Privileges } from '../../src/catalog/situation.ts'
import type {
  Column,
  Constraint,
  InboundForeignKey,
  Index,
  OwnedSequence,
  TableModel,
  Trigger,
  View,
} from '../../src/catalog/table/table-model.ts'
import type { ConstraintTrigger } from '../../src/catalog/references/constraint-triggers.ts'
import { fromText } from '../../src/grid/key.ts'
import { OUR_SETTINGS } from '../../src/sql/condition-settings.ts'
import { display, type TableName } from '../../src/sql/names.ts'
import { ident } from '../../src/sql/sql.ts'
import type { Predicate } from '../../src/sql/predicate.ts'

// What the catalogue would say of a server, a role, and a table with what hangs
// on it: small, ordinary, and whatever a test wants to be otherwise.

/** Capitals, a dot, a quote and a space: wherever quoting is forgotten, this shows. */
export const AWFUL: TableName = { schema: 'My.sch"ema', name: 'Big "Ta.ble' }
export const AWFUL_SQL = '"My.sch""ema"."Big ""Ta.ble"'

export function named(name: string): TableName {
  return { schema: 'public', name }
}

/** An instant as the server's clock has it. */
export function instant(text: string): bigint {
  return fromText('timestamptz', text.length === 10 ? `${text} 00:00:00+00` : `${text}+00`)
}

export const NOW = '2026-03-15'

export function server(overrides: Partial<ServerModel> = {}): ServerModel {
  return {
    version: 170010,
    versionText: '17.10',
    inRecovery: false,
    readOnly: false,
    now: instant(NOW).toString(),
    database: 'app',
    role: 'ebb_owner',
    superuser: false,
    mayCreateSchema: true,
    journalExists: true,
    journalUsable: true,
    firesTriggers: true,
    countsChanges: true,
    deadlockTimeoutMs: 1000,
    journalSchema: 'ebb',
    publishingAll: [],
    ...overrides,
  }
}

export function privileges(overrides: Partial<Privileges> = {}): Privileges {
  return {
    actAsOwner: true,
    createInSchema: true,
    createTemporary: true,
    rowsHidden: false,
    database: 'app',
    notOurs: [],
    notReferable: [],
    lacking: [],
    defaultsTake: false,
    ...overrides,
  }
}

/** `public.events (id bigint primary key, at timestamptz not null, kind text)`, a million rows. */
export function table(overrides: Partial<TableModel> = {}): TableModel {
  const columns = overrides.columns ?? [
    column('id', 'bigint'),
    column('at'),
    column('kind', 'text', { notNull: false }),
  ]
  const key = primaryKey('events_pkey', ['id'])
  return {
    oid: '16384',
    name: named('events'),
    kind: 'table',
    persistence: 'permanent',
    owner: 'ebb_owner',
    tablespace: null,
    accessMethod: 'heap',
    typed: false,
    partitionOf: null,
    options: [],
    replicaIdentity: 'default',
    rowSecurity: 'off',
    comment: null,
    estimatedRows: 1_000_000,
    size: { heap: 100_000_000, indexes: 20_000_000, toast: 0 },
    partitionKey: null,
    grants: [],
    defaultGrantees: [],
    columns,
    baseTypes: Object.fromEntries(columns.map(({ name, type }) => [name, type])),
    sequences: [],
    constraints: [key.constraint],
    indexes: [key.index],
    triggers: [],
    constraintTriggers: [],
    policies: [],
    rules: [],
    statistics: [],
    publications: [],
    exceptedFrom: [],
    inboundForeignKeys: [],
    views: [],
    functions: [],
    otherRules: [],
    otherPolicies: [],
    otherTriggers: [],
    otherDependents: [],
    wholeRows: [],
    identityUsers: [],
    inheritsFrom: [],
    inheritedBy: [],
    extension: null,
    securityLabels: 0,
    subscriptions: [],
    ...overrides,
  }
}

export function column(name: string, type = 'timestamp with time zone', overrides: Partial<Column> = {}): Column {
  return {
    name,
    quoted: written(name),
    type,
    notNull: true,
    default: null,
    generated: false,
    identity: null,
    collation: null,
    storage: 'plain',
    compression: '',
    statisticsTarget: null,
    options: [],
    comment: null,
    ...overrides,
  }
}

export function index(name: string, columns: readonly string[], overrides: Partial<Index> = {}): Index {
  const list = columns.map(written).join(', ')
  return {
    oid: `oid of ${name}`,
    name,
    definition: `CREATE INDEX ${written(name)} ON public.events USING btree (${list})`,
    tail: `USING btree (${list})`,
    method: 'btree',
    columns,
    included: [],
    operators: [],
    unique: false,
    primary: false,
    partial: false,
    valid: true,
    clustered: false,
    replicaIdentity: false,
    constraint: null,
    tablespace: null,
    options: [],
    statisticsTargets: [],
    comment: null,
    bytes: 10_000_000,
    ...overrides,
  }
}

export function constraint(
  name: string,
  type: Constraint['type'],
  definition: string,
  overrides: Partial<Constraint> = {},
): Constraint {
  return {
    name,
    type,
    definition,
    columns: [],
    included: [],
    deferrable: false,
    deferred: false,
    validated: true,
    noInherit: false,
    references: null,
    pairs: null,
    ontoPartitioned: false,
    comment: null,
    ...overrides,
  }
}

/** The constraint and the index behind it. */
export function primaryKey(name: string, columns: readonly string[], overrides: Partial<Constraint> = {}) {
  const list = columns.map(written).join(', ')
  return {
    constraint: constraint(name, 'primary key', `PRIMARY KEY (${list})`, { columns, ...overrides }),
    index: index(name, columns, { unique: true, primary: true, constraint: name }),
  }
}

/** Of the table. */
/** In no publication. */
export const UNPUBLISHED: Published = { sendings: [], identity: { kind: 'default', columns: ['id'] } }

/** Published with all, and nothing tells subscribers which row is meant. */
export const UNTOLD: Published = {
  sendings: [
    {
      publication: 'p',
      inserts: true,
      updates: true,
      deletes: true,
      truncates: true,
      viaRoot: false,
      columns: null,
      filterColumns: [],
    },
  ],
  identity: { kind: 'default', columns: [] },
}

/** A column that refers to `id`. */
function pair(referring: string): ColumnPair {
  return { referring, referred: 'id', operator: 'operator(pg_catalog.=)', collation: null }
}

export function foreignKey(name: string, of: string, references: TableName, overrides: Partial<Constraint> = {}) {
  const definition = `FOREIGN KEY (${written(of)}) REFERENCES ${display(references)}(id)`
  return constraint(name, 'foreign key', definition, { columns: [of], references, pairs: [pair(of)], ...overrides })
}

/** Of another table, onto this one. */
export function inbound(from: TableName, name: string, overrides: Partial<InboundForeignKey> = {}): InboundForeignKey {
  return {
    table: from,
    tableKind: 'table',
    tableOwner: 'ebb_owner',
    name,
    definition: 'FOREIGN KEY (event_id) REFERENCES public.events(id)',
    pairs: [pair('event_id')],
    validated: true,
    comment: null,
    ...overrides,
  }
}

export function trigger(name: string, overrides: Partial<Trigger> = {}): Trigger {
  return {
    name,
    definition: `CREATE TRIGGER ${written(name)} AFTER INSERT ON public.events FOR EACH ROW EXECUTE FUNCTION audit()`,
    enabled: 'origin',
    perRow: true,
    before: false,
    transitionTables: false,
    comment: null,
    ...overrides,
  }
}

/** One of PostgreSQL's own that somebody has switched off: of a foreign key of this table, or of another onto it. */
export function constraintTrigger(
  constraint: string,
  of: TableName,
  overrides: Partial<ConstraintTrigger> = {},
): ConstraintTrigger {
  return { constraint, of, function: 'RI_FKey_check_ins', enabled: 'disabled', on: [display(of)], ...overrides }
}

export function view(name: TableName, overrides: Partial<View> = {}): View {
  return {
    name,
    owner: 'ebb_owner',
    options: [],
    definition: ' SELECT id FROM public.events;',
    usesRowType: false,
    ...overrides,
  }
}

/** What `serial` makes; `identity: true` for an identity column's. */
export function sequence(name: string, of: string, overrides: Partial<OwnedSequence> = {}): OwnedSequence {
  return {
    name: named(name),
    column: of,
    identity: false,
    type: 'bigint',
    start: '1',
    increment: '1',
    min: '1',
    max: '9223372036854775807',
    cache: '1',
    cycle: false,
    comment: null,
    grants: [],
    defaultGrantees: [],
    ...overrides,
  }
}

export function condition(overrides: Partial<ConditionFacts> = {}): ConditionFacts {
  return {
    settings: OUR_SETTINGS,
    volatile: [],
    stable: [],
    timed: false,
    unheeded: [],
    computedOtherwise: [],
    ...overrides,
  }
}

export function predicate(text: string): Predicate {
  return { written: text, text, uses: { functions: [], columns: [], types: [], operators: [] } }
}

/** A table of 1000 blocks, a tenth of whose 100,000 rows match; nothing is in the way. */
export function leaf(overrides: Partial<LeafModel> = {}): LeafModel {
  return {
    oid: '16384',
    name: named('events'),
    kind: 'table',
    accessMethod: 'heap',
    blocks: 1000,
    rows: 100_000,
    matching: 10_000,
    plannedIndex: null,
    missingPrivileges: [],
    mayVacuum: true,
    rowsHidden: false,
    deleteRules: [],
    deleteTriggers: [],
    statementTriggers: [],
    disabledConstraints: [],
    published: UNPUBLISHED,
    columns: ['id', 'at', 'kind'],
    indexes: [],
    ...overrides,
  }
}

export function leafIndex(name: string, columns: readonly string[], overrides: Partial<LeafIndex> = {}): LeafIndex {
  return {
    name,
    columns: columns.map((one) => ({ name: one, type: 'pg_catalog.int8', operators: INTEGER_ORDER, notNull: true })),
    unique: false,
    rowsPerKey: 1,
    coversMatches: true,
    ...overrides,
  }
}

const INTEGER_ORDER = ['<', '<=', '=', '>=', '>'].map((operator) => `operator(pg_catalog.${operator})`)

/** As PostgreSQL writes a name in a definition: in quotes only where it must be. */
function written(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : ident(name).text
}
