import { once } from '../template.ts'

// What the catalogue says of everything that is not Ebb's, a line each. It goes deeper than a dump (dependencies, whether
// a constraint has been validated, what is switched off), and it serves where pg_dump is older than the server.

/** Numbers by which an object is known inside; a table built anew has others. */
const WITHOUT_OIDS = (text: string) =>
  `regexp_replace(${text}, '((?:RI|PK|Unique)_ConstraintTrigger_(?:[ac]_)?)\\d+', '\\1', 'g')`

const OBJECT = (classid: string, objid: string, objsubid: string) =>
  WITHOUT_OIDS(`coalesce(pg_describe_object(${classid}, ${objid}, ${objsubid}), '')`)

const QUESTIONS: readonly string[] = [
  `select 'relation', c.oid::regclass, c.relkind, c.relpersistence, c.relowner::regrole, c.reltablespace, c.relam, c.reloptions, t.reloptions,
      c.relreplident, c.relrowsecurity, c.relforcerowsecurity, c.relhasrules, c.relhassubclass,
      coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's'::"char" else 'r' end, c.relowner))
    from mine join pg_class c using (oid) left join pg_class t on t.oid = c.reltoastrelid`,
  `select 'column', a.attrelid::regclass, row_number() over (partition by a.attrelid order by a.attnum), a.attname,
      format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, a.attcollation::regcollation, a.attstorage,
      a.attcompression, coalesce(a.attstattarget, -1), array(select o from unnest(a.attoptions) o where o not like 'pg\\_%'), a.attacl,
      pg_get_expr(d.adbin, d.adrelid), a.attislocal, a.attinhcount
    from mine join pg_attribute a on a.attrelid = mine.oid left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attnum > 0 and not a.attisdropped`,
  `select 'constraint', k.conrelid::regclass, k.conname, k.contype, pg_get_constraintdef(k.oid), k.condeferrable, k.condeferred, k.convalidated,
      k.conislocal, k.coninhcount, k.connoinherit, k.conkey is null from mine join pg_constraint k on k.conrelid = mine.oid`,
  `select 'index', i.indexrelid::regclass, pg_get_indexdef(i.indexrelid), i.indisunique, i.indisprimary, i.indisexclusion, i.indimmediate,
      i.indisclustered, i.indisvalid, i.indisready, i.indislive, i.indisreplident from mine join pg_index i on i.indrelid = mine.oid`,
  `select 'trigger', t.tgrelid::regclass, ${WITHOUT_OIDS('t.tgname')}, t.tgenabled, t.tgisinternal, t.tgdeferrable, t.tginitdeferred, k.conname,
      case when not t.tgisinternal then pg_get_triggerdef(t.oid) end, t.tgconstrrelid::regclass, t.tgfoid::regprocedure
    from mine join pg_trigger t on t.tgrelid = mine.oid left join pg_constraint k on k.oid = t.tgconstraint`,
  `select 'policy', p.polrelid::regclass, p.polname, p.polcmd, p.polpermissive, p.polroles::regrole[], pg_get_expr(p.polqual, p.polrelid),
      pg_get_expr(p.polwithcheck, p.polrelid) from mine join pg_policy p on p.polrelid = mine.oid`,
  `select 'rule', r.ev_class::regclass, r.rulename, r.ev_enabled, pg_get_ruledef(r.oid) from mine join pg_rewrite r on r.ev_class = mine.oid`,
  `select 'statistics', e.stxrelid::regclass, e.stxname, e.stxowner::regrole, coalesce(e.stxstattarget, -1), pg_get_statisticsobjdef(e.oid)
    from mine join pg_statistic_ext e on e.stxrelid = mine.oid`,
  `select 'sequence', q.seqrelid::regclass, q.seqtypid::regtype, q.seqstart, q.seqincrement, q.seqmax, q.seqmin, q.seqcache, q.seqcycle
    from mine join pg_sequence q on q.seqrelid = mine.oid`,
  `select 'function', p.oid::regprocedure, p.proowner::regrole, coalesce(p.proacl, acldefault('f', p.proowner)), pg_get_functiondef(p.oid)
    from pg_proc p where p.pronamespace = 'public'::regnamespace`,
  `select 'default privileges', d.defaclrole::regrole, d.defaclnamespace::regnamespace, d.defaclobjtype, d.defaclacl from pg_default_acl d`,
  `select 'published', p.pubname, t.relid::regclass from pg_publication p, pg_get_publication_tables(p.pubname) t`,
  `select 'comment', ${OBJECT('d.classoid', 'd.objoid', 'd.objsubid')}, d.description from pg_description d where d.objoid >= 16384`,
  `select 'dependency', ${OBJECT('d.classid', 'd.objid', 'd.objsubid')}, d.deptype, ${OBJECT('d.refclassid', 'd.refobjid', 'd.refobjsubid')}, count(*)
    from pg_depend d where d.objid >= 16384 and d.refobjid >= 16384 and pg_describe_object(d.classid, d.objid, 0) !~ 'pg_toast' group by 2, 3, 4`,
  `select 'role dependency', ${OBJECT('d.classid', 'd.objid', 'd.objsubid')}, d.deptype, d.refobjid::regrole
    from pg_shdepend d where d.dbid = (select oid from pg_database where datname = current_database()) and d.refclassid = 'pg_authid'::regclass`,
]

/** All of it, in order. */
export async function catalogueOf(url: string): Promise<string[]> {
  return once(url, async (client) => {
    await client.query(`set search_path = ''`)
    const lines: string[] = []
    for (const question of QUESTIONS) {
      const { rows } = await client.query<{ line: string }>(
        `with mine as (select oid from pg_class where relnamespace = 'public'::regnamespace) select q::text as line from (${question}) q order by 1`,
      )
      lines.push(...rows.map(({ line }) => line))
    }
    return lines.filter((line) => !OURS.test(line))
  })
}

/** The journal. */
const OURS = /\bschema ebb\b|\bebb\.(?!.*public\.)/
