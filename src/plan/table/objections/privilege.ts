import type { Privileges } from '../../../catalog/situation.ts'
import type { TableModel } from '../../../catalog/table/table-model.ts'
import { display, quoted } from '../../../sql/names.ts'
import { ident } from '../../../sql/sql.ts'
import { objection, when } from '../../language/objection.ts'
import type { Objection } from '../../language/step.ts'

/** What the role lacks, and who can give it. */
export function privilegeObjections(table: TableModel, privileges: Privileges, role: string): Objection[] {
  const owner = ident(table.owner).text
  const us = ident(role).text
  if (!privileges.actAsOwner)
    return [
      objection(
        'not-owner',
        `${display(table.name)} belongs to ${table.owner}, and ${role} may not act for it`,
        `Connect as ${table.owner}, or have an administrator say: grant ${owner} to ${us};`,
      ),
    ]
  return [
    ...when(!privileges.createInSchema, () =>
      objection(
        'no-create',
        `${table.owner} may not create tables in schema ${table.name.schema}, where the partitions would be`,
        `As its owner: grant create on schema ${ident(table.name.schema).text} to ${owner};`,
      ),
    ),
    ...when(!privileges.createTemporary, () =>
      objection(
        'no-temporary',
        `${role} may not create temporary tables, which the dry run needs`,
        `As the database’s owner: grant temporary on database ${ident(privileges.database).text} to ${us};`,
      ),
    ),
    ...when(privileges.rowsHidden, () =>
      objection(
        'row-security',
        `row-level security hides rows of ${display(table.name)} from ${role}, so what it holds cannot be told`,
        `Connect as a role with BYPASSRLS, or, if it is forced on the owner, lift that for the time of the conversion: alter table ${quoted(table.name).text} no force row level security;`,
      ),
    ),
    ...privileges.notOurs.map((what) =>
      objection(
        `not-ours:${what}`,
        `${what} has to be altered and belongs to a role that ${role} may not act for`,
        `Connect as a role that may, or have its owner granted to ${us} for the time of the conversion.`,
      ),
    ),
    ...(privileges.noSpaces ?? []).map((space) =>
      objection(
        `no-tablespace:${space}`,
        `${role} may not create anything in tablespace ${space}, where the table or indexes of it are`,
        `As an administrator: grant create on tablespace ${ident(space).text} to ${us};`,
      ),
    ),
    ...privileges.notReferable.map((table) =>
      objection(
        `no-references:${table}`,
        `a foreign key to ${table} has to be created again, which needs the privilege REFERENCES on it, and UPDATE to lock it meanwhile`,
        `As its owner: grant references, update on ${table} to ${us};`,
      ),
    ),
  ]
}

/** What a copy needs beyond what a conversion in place does: it reads the rows, and writes them for a rollback. */
export function copyRightsObjections(
  table: TableModel,
  { lacking, defaultsTake }: Privileges,
  role: string,
): Objection[] {
  const us = ident(role).text
  return [
    ...when(lacking.length > 0, () =>
      objection(
        'owner-rights',
        `${role} lacks ${lacking.join(', ')} on ${display(table.name)}, which copying it and a rollback need`,
        `For the time of the run: grant ${lacking.join(', ').toLowerCase()} on ${quoted(table.name).text} to ${us};`,
      ),
    ),
    ...when(defaultsTake, () =>
      objection(
        'default-privileges',
        `default privileges of ${role} take rights from ${role} itself on what it makes, so it could not use it`,
        `For the time of the run: alter default privileges for role ${us} grant all on tables to ${us}; and the same on sequences.`,
      ),
    ),
  ]
}
