import type { Grant } from '../../catalog/table/table-model.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { ident, raw, sql, type Sql } from '../../sql/sql.ts'

// The statements that give an object the privileges that another had, by whom and in the order they were given: who
// passes a privilege on must have it first.

type Kind = 'table' | 'sequence'

/** Who an object belongs to, and as whom we are connected. */
export interface Hands {
  readonly owner: string
  readonly role: string
}

/** `table` becomes the property of its owner; nothing when we are the owner ourselves. */
export function ownership(table: TableName, owner: string, role: string): string[] {
  return owner === role ? [] : [sql`alter table ${quoted(table)} owner to ${ident(owner)}`.text]
}

/** Exactly these privileges, for an object that has its owner already. `byDefault` are those it may have been made with. */
export function grants(
  kind: Kind,
  name: TableName,
  { owner, role }: Hands,
  given: readonly Grant[],
  byDefault: readonly (string | null)[],
): string[] {
  const object = sql`${raw(kind)} ${quoted(name)}`
  const owned = given.filter((grant) => grant.grantee === owner && grant.column === null)
  // A new object has its owner's privileges by itself, and saying so would only be noise.
  const usual = byDefault.length === 0 && owned.length >= COMPLETE[kind]
  const revoked = usual ? [] : [...new Set([...byDefault, owner])]
  const granted = usual ? given.filter((grant) => !owned.includes(grant)) : given
  return inTheNameOf(role, [
    ...revoked.map((grantee) => ({ by: owner, statement: revokeAll(object, grantee) })),
    ...granted.map((grant) => ({ by: grant.grantor, statement: grantStatement(object, grant) })),
  ])
}

/** These besides whatever there are. */
export function grantsBeside(kind: Kind, name: TableName, role: string, given: readonly Grant[]): string[] {
  const object = sql`${raw(kind)} ${quoted(name)}`
  return inTheNameOf(
    role,
    given.map((grant) => ({ by: grant.grantor, statement: grantStatement(object, grant) })),
  )
}

/** Revokes all privileges of other roles on a table just created, which default privileges may have granted. */
export function ownersAlone(name: TableName, role: string, byDefault: readonly (string | null)[]): string[] {
  if (byDefault.length === 0) return []
  const object = sql`table ${quoted(name)}`
  return [
    ...byDefault.filter((grantee) => grantee !== role).map((grantee) => revokeAll(object, grantee)),
    sql`grant all on ${object} to ${ident(role)}`.text,
  ]
}

// INSERT, SELECT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER (and MAINTAIN from 17 on); USAGE, SELECT, UPDATE.
const COMPLETE: Readonly<Record<Kind, number>> = { table: 7, sequence: 3 }

function revokeAll(object: Sql, grantee: string | null): string {
  return sql`revoke all on ${object} from ${someone(grantee)}`.text
}

function grantStatement(object: Sql, { column, privilege, grantee, grantable }: Grant): string {
  const columns = column === null ? raw('') : sql` (${ident(column)})`
  const option = raw(grantable ? ' with grant option' : '')
  return sql`grant ${raw(privilege.toLowerCase())}${columns} on ${object} to ${someone(grantee)}${option}`.text
}

function someone(grantee: string | null): Sql {
  return grantee === null ? raw('public') : ident(grantee)
}

interface Act {
  readonly by: string
  readonly statement: string
}

/**
 * A privilege keeps the role that granted it: revoking that role's right later must still cascade to it. Who may act for
 * several roles would grant as any of them (select_best_grantor), the owner included, so the role is set.
 */
function inTheNameOf(role: string, acts: readonly Act[]): string[] {
  return acts.flatMap(({ by, statement }, i) => [
    ...(by !== role && acts[i - 1]?.by !== by ? [sql`set local role ${ident(by)}`.text] : []),
    statement,
    ...(by !== role && acts[i + 1]?.by !== by ? ['reset role'] : []),
  ])
}
