import type { ClientBase } from 'pg'
import { forAMoment } from '../db/for-a-moment.ts'
import { readAllPrepared } from '../db/query.ts'
import { EbbError, NOTHING_CHANGED } from '../errors.ts'
import { raw, sql, type Sql } from '../sql/sql.ts'

// A resume executes what the journal says, and writing to a table runs the code attached to it. So the journal is
// trusted only if no roles but the one that connects, and those it is a member of, can have written to it. Checked
// with one catalogue query, which executes no user code.

/** The tables created by migrations; the schema also has logs and candidate sets. */
export const JOURNAL_TABLES = [
  'archive',
  'archived_write',
  'candidate_set',
  'capture',
  'chunk',
  'closed_partition',
  'comparison',
  'hold',
  'journal_retention',
  'lease',
  'migration',
  'migration_call',
  'migration_file',
  'moved_partition',
  'pace',
  'pace_interval',
  'partition_set',
  'policy',
  'purge_batch',
  'purge_left',
  'retirement',
  'rotation',
  'run',
  'step',
  'truncation',
] as const

/** A reason not to trust the journal, or even not to read it. */
interface Flaw {
  readonly kind: 'owner' | 'grant' | 'code' | 'shape'
  /** As PostgreSQL describes it: `table ebb.run`. */
  readonly what: string
  /** Its owner, the grantee, or the expression. */
  readonly detail: string | null
  /** The fix as SQL; null if it needs a decision. */
  readonly remedy: string | null
}

/** Expressions in migrations and captures: only built-in functions, without arguments. */
const HARMLESS = [
  /^(?:now|clock_timestamp|pg_current_xact_id)\(\)$/,
  /^CURRENT_USER$/,
  /^'[^'\\]*'::(?:text|jsonb)$/,
  /^-?\d+$/,
  /^(?:true|false)$/,
  /^\(\w+ (?:=|\?) '[^'\\]*'::text\)$/,
  /^\(\w+ = ANY \(ARRAY\[(?:'[^'\\]*'::text(?:, )?)+\]\)\)$/,
]

/**
 * Checks that the journal can be trusted for executing what it says. Only those who are trusted can let others in, so that
 * is looked for once a second in a session.
 *
 * @throws {EbbError} when other roles own a part of it, may write to it, or have attached code to it
 */
export async function assertTrusted(session: ClientBase, schema: string): Promise<void> {
  await forAMoment(session, `trust in the journal ${schema}`, async () => {
    const flaws = await readFlaws(session, schema)
    if (flaws.length > 0) throw distrusted(schema, flaws)
    return true
  })
}

/**
 * Checks that the journal can be read for display: reading must execute no code.
 *
 * @throws {EbbError} when one of its tables is not a table
 */
export async function assertReadable(session: ClientBase, schema: string): Promise<void> {
  const flaws = (await readFlaws(session, schema)).filter(({ kind }) => kind === 'shape')
  if (flaws.length > 0) throw distrusted(schema, flaws)
}

/** Revokes what default privileges have granted on a journal that was just created. */
export async function revokeGrants(session: ClientBase, schema: string): Promise<void> {
  const flaws = await readFlaws(session, schema)
  for (const { kind, remedy } of flaws) if (kind === 'grant' && remedy !== null) await session.query(remedy)
}

async function readFlaws(session: ClientBase, schema: string): Promise<Flaw[]> {
  const found = await readAllPrepared<Flaw>(session, flawsQuery(schema))
  const space = found.find(({ kind, remedy }) => kind === 'owner' && remedy?.startsWith('grant'))
  return (
    found
      .filter(({ kind, detail }) => kind !== 'code' || !HARMLESS.some((form) => form.test(detail ?? '')))
      // All that belongs to the owner of the schema is said with it.
      .filter((flaw) => flaw === space || flaw.kind !== 'owner' || flaw.detail !== space?.detail)
  )
}

// `acting` are the roles that count as ours. Privilege functions treat a superuser as a member of every role; here
// only granted memberships count, or a superuser would trust every role.
function flawsQuery(schema: string): Sql {
  return sql`
    with recursive acting (oid) as (
      select oid from pg_roles where rolname = current_user
      union
      select more.oid from acting cross join lateral (
        select m.roleid from pg_auth_members m where m.member = acting.oid
        union all
        select r.oid from pg_database d join pg_roles r on r.rolname = 'pg_database_owner'
        where d.datname = current_database() and d.datdba = acting.oid) more (oid)
    ), space as (
      select oid, nspowner, nspacl from pg_namespace where nspname = ${schema}
    ), content (classid, objid) as (
      -- By their dependency on the schema, which has an index: a database may have a hundred thousand relations.
      select d.classid, d.objid from pg_depend d join space on d.refclassid = 'pg_namespace'::regclass and d.refobjid = space.oid
    ), relation as (
      select c.* from content m join pg_class c on m.classid = 'pg_class'::regclass and c.oid = m.objid
      where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    ), own as (
      select *, relname = any (${JOURNAL_TABLES}::text[]) as known from relation
      where relname = any (${JOURNAL_TABLES}::text[]) or relname ~ '^(candidates|ebb)_[0-9a-f]{8}(_|$)' and relkind <> 'S'
    ), owned (class, oid, owner) as (
      select 'pg_namespace'::regclass, oid, nspowner from space
      union all select 'pg_class'::regclass, oid, relowner from relation
      union all select m.classid, p.oid, p.proowner from content m join pg_proc p on m.classid = 'pg_proc'::regclass and p.oid = m.objid
      union all select m.classid, o.oid, o.oprowner from content m join pg_operator o on m.classid = 'pg_operator'::regclass and o.oid = m.objid
      union all select m.classid, t.oid, t.typowner from content m join pg_type t on m.classid = 'pg_type'::regclass and t.oid = m.objid
        where t.typtype <> 'c' and t.typelem = 0
    ), given (relation, owner, name, grantee, privilege, columns) as (
      select o.oid, o.relowner, format('%I.%I', ${schema}::text, o.relname), x.grantee, x.privilege_type, null
      from own o cross join lateral aclexplode(o.relacl) x
      union all
      select o.oid, o.relowner, format('%I.%I', ${schema}::text, o.relname), x.grantee, x.privilege_type, quote_ident(a.attname)
      from own o join pg_attribute a on a.attrelid = o.oid cross join lateral aclexplode(a.attacl) x
    ), code (class, oid, part, text) as (
      select 'pg_trigger'::regclass, t.oid, 0, null from pg_trigger t join own on own.oid = t.tgrelid where not t.tgisinternal
      union all select 'pg_rewrite'::regclass, r.oid, 0, null from pg_rewrite r join own on own.oid = r.ev_class where own.relkind = 'r'
      union all select 'pg_policy'::regclass, p.oid, 0, null from pg_policy p join own on own.oid = p.polrelid
      union all select 'pg_attrdef'::regclass, d.oid, 0,
          case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end
        from pg_attrdef d join own on own.oid = d.adrelid
        join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
      union all select 'pg_constraint'::regclass, k.oid, 0, pg_get_expr(k.conbin, k.conrelid)
        from pg_constraint k join own on own.oid = k.conrelid where k.contype not in ('p', 'u', 'f', 'n')
      union all select 'pg_class'::regclass, i.indexrelid, 0,
          case when i.indexprs is null then pg_get_expr(i.indpred, i.indrelid) end
        from pg_index i join own on own.oid = i.indrelid where i.indexprs is not null or i.indpred is not null
    ), shape (class, oid, part) as (
      select 'pg_class'::regclass, own.oid, 0 from own where relkind <> 'r' or relrowsecurity
        or exists (select from pg_inherits h where h.inhparent = own.oid) or exists (select from pg_inherits h where h.inhrelid = own.oid)
      union all
      select 'pg_class'::regclass, own.oid, a.attnum::int from own join pg_attribute a on a.attrelid = own.oid
        join pg_type t on t.oid = a.atttypid
      where a.attnum > 0 and not a.attisdropped
        and (known and t.typnamespace <> 'pg_catalog'::regnamespace or a.attgenerated not in ('', 's'))
    )
    select 'owner' as kind, pg_describe_object(class, o.oid, 0) as what, pg_get_userbyid(owner)::text as detail,
      case i.type when 'schema' then format('grant %I to %I', pg_get_userbyid(owner), current_user)
        else format('alter %s %s owner to %I', i.type, i.identity, current_user) end as remedy
    from owned o cross join lateral pg_identify_object(class, o.oid, 0) i where owner not in (select oid from acting)
    union all
    select 'grant', format('%s on table %s', lower(string_agg(distinct privilege, ', ')), name),
      case grantee when 0 then 'PUBLIC' else pg_get_userbyid(grantee)::text end,
      format('revoke %s on table %s from %s', lower(string_agg(distinct privilege || coalesce(' (' || columns || ')', ''), ', ')),
        name, case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end)
    from given join space on true where privilege in ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER')
      and ${isStranger('grantee', 'given.owner')} and ${mayEnter('grantee')}
    group by relation, name, grantee
    union all
    select 'grant', format('create on schema %I', ${schema}::text),
      case x.grantee when 0 then 'PUBLIC' else pg_get_userbyid(x.grantee)::text end,
      format('revoke create on schema %I from %s', ${schema}::text,
        case x.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(x.grantee)) end)
    from space cross join lateral aclexplode(nspacl) x
    where x.privilege_type = 'CREATE' and ${isStranger('x.grantee', 'space.nspowner')}
    union all
    select 'code', pg_describe_object(class, oid, part), text, null from code
    union all
    select 'shape', pg_describe_object(class, oid, part), null, null from shape`
}

/** Neither one of our roles nor a member of the owner. */
function isStranger(role: string, owner: string): Sql {
  return raw(
    `(${role} = 0 or ${role} not in (select oid from acting) and not pg_has_role(${role}, ${owner}, 'member'))`,
  )
}

/** A privilege on a table requires usage on its schema. */
function mayEnter(role: string): Sql {
  return sql`exists (select from aclexplode(nspacl) u where u.privilege_type = 'USAGE' and ${isStranger('u.grantee', 'nspowner')}
    and (u.grantee = 0 or ${raw(role)} = 0 or pg_has_role(u.grantee, ${raw(role)}, 'member') or pg_has_role(${raw(role)}, u.grantee, 'member')))`
}

const MOST_SHOWN = 5

function distrusted(schema: string, flaws: readonly Flaw[]): EbbError {
  const shown = flaws.slice(0, MOST_SHOWN).map(describe)
  const more = flaws.length > MOST_SHOWN ? [`and ${flaws.length - MOST_SHOWN} more`] : []
  const remedies = flaws.flatMap(({ remedy }) => (remedy === null ? [] : [remedy]))
  return new EbbError(
    `the journal in schema ${schema} cannot be trusted: ${[...shown, ...more].join('; ')}`,
    {
      state: NOTHING_CHANGED,
      next: `Find out who did this. ${remedies.length === 0 ? 'Drop what does not belong to the journal' : `If it is to be trusted: ${remedies.slice(0, MOST_SHOWN).join('; ')}`}; or use a separate journal with --journal-schema <name>.`,
    },
    'objections',
  )
}

function describe({ kind, what, detail }: Flaw): string {
  switch (kind) {
    case 'owner':
      return `${what} belongs to ${detail}, and this role is not a member of it`
    case 'grant':
      return `${detail} may ${what}`
    case 'code':
      return detail === null ? `there is a ${what}` : `there is a ${what}: ${detail}`
    case 'shape':
      return `${what} is not as Ebb created it`
  }
}
