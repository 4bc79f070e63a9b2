import type { ServerModel } from '../../../catalog/server-model.ts'
import type { OtherDependent, TableModel } from '../../../catalog/table/table-model.ts'
import { display, quoted } from '../../../sql/names.ts'
import { ident } from '../../../sql/sql.ts'
import { constraintTriggerObjections, ofOtherTables } from '../constraint-triggers.ts'
import { objection, when } from '../../language/objection.ts'
import { inboundNameObjections } from './inbound-names.ts'
import { materializedViewObjections } from './materialized-view.ts'
import { replicationObjections } from './publication.ts'
import { serverObjections } from './server.ts'
import type { Objection } from '../../language/step.ts'

// What stands against turning a table into a partitioned one: each a line with
// the way out, all of them at once, before anything has changed.

/** Why this is no table that could be converted at all; the first reason is enough. */
export function kindObjection(table: TableModel): Objection | undefined {
  const name = display(table.name)
  switch (table.kind) {
    case 'table':
      break
    case 'partitioned table':
      return objection(
        'partitioned',
        `${name} is partitioned already (by ${table.partitionKey ?? '?'})`,
        `Keep it in shape with: ebb rotate ${name}`,
      )
    case 'view':
    case 'materialized view':
      return objection('view', `${name} is a ${table.kind}`, 'Pass the underlying table.')
    case 'foreign table':
      return objection('foreign-table', `${name} is a foreign table`, 'Run ebb on the server that has its rows.')
    case 'sequence':
    case 'index':
    case 'composite type':
    case 'other':
      return objection(
        'not-a-table',
        `${name} is ${table.kind === 'other' ? 'no table' : `a ${table.kind}`}`,
        'Pass a table.',
      )
  }
  if (table.persistence === 'temporary')
    return objection('temporary', `${name} is a temporary table of another session`, 'Name a permanent table.')
  if (table.partitionOf !== null)
    return objection(
      'partition-of',
      `${name} is a partition of ${table.partitionOf}`,
      `Pass the partitioned table; to split one wide partition: ebb split ${table.partitionOf}.`,
    )
  if (/^(pg_|information_schema$)/.test(table.name.schema))
    return objection('system-table', `${name} belongs to PostgreSQL`, 'Pass one of your own tables.')
  return undefined
}

/** What is in the way of any conversion, so that nothing else need be looked at. */
export function fundamentalObjections(server: ServerModel, journalSchema: string, table: TableModel): Objection[] {
  const kind = kindObjection(table)
  return [...serverObjections(server, journalSchema), ...(kind === undefined ? [] : [kind])]
}

/** Everything about the table itself that cannot be carried or proven. */
export function tableObjections(table: TableModel, server: Pick<ServerModel, 'superuser' | 'version'>): Objection[] {
  return [
    ...shapeObjections(table),
    ...indexObjections(table),
    ...table.constraints.flatMap((one) => constraintObjections(table, one)),
    ...triggerObjections(table),
    ...identityObjections(table),
    ...constraintTriggerObjections(table, server.superuser, ofOtherTables),
    ...dependentObjections(table, server),
    ...replicationObjections(table),
  ]
}

function shapeObjections(table: TableModel): Objection[] {
  const name = display(table.name)
  return [
    ...when(table.persistence === 'unlogged', () =>
      objection(
        'unlogged',
        `${name} is unlogged: its rows do not survive a crash, nor would those of what it becomes`,
        `Make it permanent first: alter table ${sqlName(table)} set logged; (this rewrites it under lock). ebb rebuild takes it as it is.`,
      ),
    ),
    ...when(table.inheritsFrom.length > 0, () =>
      objection(
        'inherits',
        `${name} inherits from ${table.inheritsFrom.join(', ')}`,
        `Take it out first: alter table ${sqlName(table)} no inherit ${table.inheritsFrom[0]};`,
      ),
    ),
    ...when(table.inheritedBy.length > 0, () =>
      objection(
        'inherited',
        `${name} has inheritance children: ${table.inheritedBy.join(', ')}`,
        'Move their rows here, or detach them: alter table <child> no inherit …;',
      ),
    ),
    ...when(table.typed, () =>
      objection(
        'typed',
        `${name} is a typed table (create table … of)`,
        `Untie it first: alter table ${sqlName(table)} not of;`,
      ),
    ),
    ...when(table.extension !== null, () =>
      objection('extension', `${name} belongs to the extension ${table.extension}`, 'Leave it to the extension.'),
    ),
    ...when(table.securityLabels > 0, () =>
      objection(
        'security-label',
        `${name} carries security labels, which are not carried over`,
        'Remove them, convert, and set them again.',
      ),
    ),
    ...when(table.accessMethod !== 'heap', () =>
      objection(
        'access-method',
        `${name} uses the access method ${table.accessMethod}`,
        'Only heap tables can be converted.',
      ),
    ),
  ]
}

function indexObjections(table: TableModel): Objection[] {
  return table.indexes
    .filter(({ valid }) => !valid)
    .map((index) =>
      objection(
        `invalid-index:${index.name}`,
        `index ${index.name} is invalid: what built it was interrupted`,
        `Drop it (drop index concurrently) or rebuild it: reindex index concurrently ${ident(table.name.schema, index.name).text};`,
      ),
    )
}

function constraintObjections(
  table: TableModel,
  { name, type, definition, validated, noInherit, references }: TableModel['constraints'][number],
): Objection[] {
  const itself = display(table.name)
  const alter = `alter table ${sqlName(table)}`
  const drop = `${alter} drop constraint ${ident(name).text}`
  return [
    ...when(isNotEnforced(definition), () =>
      objection(
        `not-enforced:${name}`,
        `${type} ${name} is NOT ENFORCED, and a partition cannot have such a constraint of its parent’s`,
        `Drop it first: ${drop};`,
      ),
    ),
    ...when(!validated && !isNotEnforced(definition), () =>
      objection(
        `not-valid:${name}`,
        `${type} ${name} is NOT VALID, and a partition cannot have such a constraint of its parent’s`,
        `Validate it first, which does not block reads or writes: ${alter} validate constraint ${ident(name).text};`,
      ),
    ),
    ...when(type === 'check' && noInherit, () =>
      objection(
        `no-inherit:${name}`,
        `check ${name} is NO INHERIT, which a partitioned table cannot have`,
        `Replace it by an ordinary check: ${drop}, add constraint … not valid; and validate it.`,
      ),
    ),
    ...when(type === 'exclusion', () =>
      objection(
        `exclusion:${name}`,
        `exclusion constraint ${name} cannot hold across partitions`,
        `Drop it first if it can be done without: ${drop};`,
      ),
    ),
    ...when(type === 'foreign key' && references !== null && display(references) === itself, () =>
      objection(
        `self-reference:${name}`,
        `foreign key ${name} points at ${itself} itself; adopting it would check every row under lock`,
        `Drop it first: ${drop};`,
      ),
    ),
  ]
}

function triggerObjections(table: TableModel): Objection[] {
  return table.triggers
    .filter(({ perRow, transitionTables }) => perRow && transitionTables)
    .map((trigger) =>
      objection(
        `transition-tables:${trigger.name}`,
        `row trigger ${trigger.name} uses transition tables, which is refused on partitions`,
        'Make it a statement trigger (for each statement).',
      ),
    )
}

function identityObjections({ columns, sequences }: TableModel): Objection[] {
  return columns
    .filter(({ identity, name }) => identity !== null && !sequences.some(({ column }) => column === name))
    .map(({ name }) =>
      objection(`identity:${name}`, `the sequence of identity column ${name} cannot be found`, 'Please report this.'),
    )
}

/** A materialized view that returns whole rows cannot read them through a view either. */
function otherDependentsOf({ otherDependents }: TableModel): readonly OtherDependent[] {
  return otherDependents.filter(
    ({ materializedView, because }) => materializedView == null || because === 'uses its row type',
  )
}

function dependentObjections(table: TableModel, server: Pick<ServerModel, 'version'>): Objection[] {
  const name = display(table.name)
  return [
    ...materializedViewObjections(table),
    ...otherDependentsOf(table).map(({ description, because }) =>
      objection(
        `dependent:${description}`,
        `${description} ${because === 'mentions the table' ? `mentions ${name}` : `uses the row type of ${name}`} and would stay with the retired table`,
        'Drop it before and create it again afterwards; its definition is in pg_dump --schema-only.',
      ),
    ),
    ...table.wholeRows.map((what) =>
      objection(
        `whole-row:${what}`,
        `${what} is over whole rows of ${name}, whose type changes`,
        'Let it name columns, or drop it before and create it again afterwards.',
      ),
    ),
    ...(table.ownNames ?? []).map((what) =>
      objection(
        `own-name:${what}`,
        `${what} has ${name} itself as a constant ('…'::regclass), which would go on meaning the retired table`,
        `Let it look the name up each time, ('…'::text)::regclass, or drop it before and create it again afterwards.`,
      ),
    ),
    ...table.identityUsers.map((what) =>
      objection(
        `identity-used:${what}`,
        `${what} uses the sequence of an identity column of ${name}, which is replaced by a new one of the same name`,
        'Let it use a sequence of its own, or drop it before and create it again afterwards.',
      ),
    ),
    ...table.views
      .filter(({ usesRowType }) => usesRowType)
      .map((view) =>
        objection(
          `row-type-view:${display(view.name)}`,
          `view ${display(view.name)} returns whole rows of ${name}, whose type changes`,
          'Let it list columns, or drop it before and create it again afterwards.',
        ),
      ),
    ...table.inboundForeignKeys
      .filter(({ tableKind }) => tableKind !== 'table')
      .map((key) =>
        objection(
          `inbound-partitioned:${display(key.table)}.${key.name}`,
          `foreign key ${key.name} of the partitioned table ${display(key.table)} points here, and can only be created again by checking all its rows under lock`,
          `Drop it first: alter table ${quoted(key.table).text} drop constraint ${ident(key.name).text};`,
        ),
      ),
    ...inboundNameObjections(table, server),
  ]
}

/** From PostgreSQL 18 on; it cannot be validated either. */
function isNotEnforced(definition: string): boolean {
  return / NOT ENFORCED$/.test(definition)
}

function sqlName({ name }: TableModel): string {
  return quoted(name).text
}
