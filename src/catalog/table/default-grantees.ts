/**
 * SQL for the roles that `alter default privileges` has something to say of when the role connected, or `owner`, makes
 * an object of `type` (`r`, `S`) in `schema`, as a JSON list; null stands for PUBLIC. The makers are among them, for such
 * a setting can take from the owner as well. Empty where nothing is set: then a new object is the owner's alone.
 */
export function defaultGranteesQuery(type: 'r' | 'S', owner: string, schema: string): string {
  return `coalesce((select json_agg(distinct case when g.grantee <> 0 then pg_get_userbyid(g.grantee) end)
    from pg_default_acl d cross join lateral (select x.grantee from aclexplode(d.defaclacl) x union select d.defaclrole) g
    where d.defaclobjtype = '${type}' and d.defaclrole in (${owner}, quote_ident(current_user)::regrole)
      and d.defaclnamespace in (0, ${schema})), '[]')`
}
