// What may hang on a table, one feature each, all of them compatible with one another unless they say so. Each is made
// on a table that schema.ts has prepared: id, a int, b text, d timestamptz, r int4range, j jsonb, p int (a parent's id).

/** Where a feature is made. Names are quoted and complete. */
export interface Place {
  readonly table: string
  /** The table's name alone, in quotes. */
  readonly name: string
  /** Another object in the table's schema, or (`bare`) its name alone. */
  readonly at: (name: string) => string
  readonly bare: (name: string) => string
  readonly parent: string
  readonly reader: string
  readonly writer: string
  readonly owner: string
}

export interface Feature {
  readonly title: string
  /** As in server_version_num. */
  readonly from?: number
  /** Only one of a group. */
  readonly group?: string
  /** A tool that is no superuser refuses it, with this code. */
  readonly refused?: string
  readonly make: (place: Place) => readonly string[]
}

const ON_INDEXES: readonly Feature[] = [
  { title: 'index', make: ({ table, bare }) => [`create index ${bare('plain')} on ${table} (a)`] },
  {
    title: 'index with everything',
    make: ({ table, bare, at }) => [
      `create unique index ${bare('all of it')} on ${table} (id, b collate "C" text_pattern_ops desc nulls last, lower(b)) include (d) with (fillfactor = 60, deduplicate_items = off) where a > 0`,
      `alter index ${at('all of it')} alter column 3 set statistics 77`,
      `comment on index ${at('all of it')} is 'it''s an index'`,
    ],
  },
  {
    title: 'brin',
    make: ({ table, bare }) => [
      `create index ${bare('brin')} on ${table} using brin (d timestamptz_minmax_multi_ops (values_per_range = 16)) with (pages_per_range = 4, autosummarize = on)`,
    ],
  },
  {
    title: 'gin',
    make: ({ table, bare }) => [
      `create index ${bare('gin')} on ${table} using gin (j jsonb_path_ops) with (fastupdate = off)`,
    ],
  },
  {
    title: 'gist',
    make: ({ table, bare }) => [`create index ${bare('gist')} on ${table} using gist (r) with (buffering = auto)`],
  },
  { title: 'hash', make: ({ table, bare }) => [`create index ${bare('hash')} on ${table} using hash (b)`] },
  {
    title: 'nulls not distinct',
    from: 150000,
    make: ({ table, bare }) => [`create unique index ${bare('nulls')} on ${table} (id, a) nulls not distinct`],
  },
  {
    title: 'cluster mark',
    make: ({ table, bare }) => [
      `create index ${bare('order')} on ${table} (d)`,
      `alter table ${table} cluster on ${bare('order')}`,
    ],
  },
]

const ON_CONSTRAINTS: readonly Feature[] = [
  {
    title: 'check',
    make: ({ table, bare }) => [
      `alter table ${table} add constraint ${bare('sane')} check (a > -1 and (b is null or length(b) < 1000))`,
      `comment on constraint ${bare('sane')} on ${table} is 'sane'`,
    ],
  },
  {
    title: 'check not valid',
    make: ({ table, bare }) => [`alter table ${table} add constraint ${bare('later')} check (a > 0) not valid`],
  },
  {
    title: 'check no inherit',
    make: ({ table, bare }) => [`alter table ${table} add constraint ${bare('here')} check (a > -5) no inherit`],
  },
  {
    title: 'unique',
    make: ({ table, bare }) => [
      `alter table ${table} add constraint ${bare('uniq')} unique (b, id) include (a) with (fillfactor = 70)`,
      `comment on constraint ${bare('uniq')} on ${table} is 'u'`,
    ],
  },
  {
    title: 'unique deferrable',
    make: ({ table, bare }) => [
      `alter table ${table} add constraint ${bare('uniq later')} unique (id, d) with (fillfactor = 80) deferrable initially deferred`,
    ],
  },
  {
    title: 'exclusion',
    make: ({ table, bare }) => [
      `alter table ${table} add constraint ${bare('apart')} exclude using gist (r with &&) with (fillfactor = 55) where (a > 0) deferrable`,
    ],
  },
  {
    title: 'exclusion over an expression',
    make: ({ table, bare, at }) => [
      `alter table ${table} add constraint ${bare('exprs')} exclude ((id || 'x') with =, (lower(b)) with =)`,
      `alter index ${at('exprs')} alter column 2 set statistics 33`,
    ],
  },
  {
    title: 'foreign key',
    make: ({ table, bare, parent }) => [
      `alter table ${table} add constraint ${bare('fk')} foreign key (p) references ${parent} (id) on update cascade on delete set null`,
      `comment on constraint ${bare('fk')} on ${table} is 'fk'`,
    ],
  },
  {
    title: 'foreign key set null of a column',
    from: 150000,
    make: ({ table, bare, parent }) => [
      `alter table ${table} add constraint ${bare('fk col')} foreign key (p, a) references ${parent} (id, n) on delete set null (p)`,
    ],
  },
  {
    title: 'foreign key not valid',
    make: ({ table, bare, parent }) => [
      `alter table ${table} add constraint ${bare('fk nv')} foreign key (p) references ${parent} (id) not valid`,
    ],
  },
  {
    title: 'foreign key deferred',
    make: ({ table, bare, parent }) => [
      `alter table ${table} add constraint ${bare('fk def')} foreign key (p, a) references ${parent} (id, n) match full deferrable initially deferred`,
    ],
  },
]

const ON_TRIGGERS: readonly Feature[] = [
  {
    title: 'trigger',
    make: ({ table, at, bare }) => [
      `create trigger ${bare('before it')} before insert or update of a, b on ${table} for each row when (new.a is distinct from 5) execute function ${at('touch')}('it''s', 'x')`,
      `comment on trigger ${bare('before it')} on ${table} is 't'`,
    ],
  },
  {
    title: 'statement trigger',
    make: ({ table, at, bare }) => [
      `create trigger ${bare('statement')} after insert on ${table} referencing new table as fresh for each statement execute function ${at('nothing')}()`,
    ],
  },
  {
    title: 'row trigger with transition tables',
    make: ({ table, at, bare }) => [
      `create trigger ${bare('row tt')} after update on ${table} referencing old table as o new table as n for each row execute function ${at('nothing')}()`,
    ],
  },
  {
    title: 'constraint trigger',
    make: ({ table, at, bare, parent }) => [
      `create constraint trigger ${bare('constraint t')} after insert or delete on ${table} from ${parent} deferrable initially deferred for each row execute function ${at('nothing')}()`,
    ],
  },
  {
    title: 'whole row trigger',
    make: ({ table, at, bare }) => [
      `create trigger ${bare('whole')} after update on ${table} for each row when (old.* is distinct from new.*) execute function ${at('touch')}()`,
    ],
  },
  {
    title: 'truncate trigger',
    make: ({ table, at, bare }) => [
      `create trigger ${bare('trunc')} before truncate on ${table} execute function ${at('nothing')}()`,
    ],
  },
  {
    title: 'disabled trigger',
    make: ({ table, at, bare }) => [
      `create trigger ${bare('off')} after delete on ${table} for each row execute function ${at('nothing')}()`,
      `alter table ${table} disable trigger ${bare('off')}`,
    ],
  },
  {
    title: 'replica trigger',
    make: ({ table, at, bare }) => [
      `create trigger ${bare('rep')} after delete on ${table} for each row execute function ${at('nothing')}()`,
      `alter table ${table} enable replica trigger ${bare('rep')}`,
    ],
  },
  {
    title: 'always trigger',
    make: ({ table, at, bare }) => [
      `create trigger ${bare('alw')} after delete on ${table} for each row execute function ${at('nothing')}()`,
      `alter table ${table} enable always trigger ${bare('alw')}`,
    ],
  },
  {
    title: 'rule',
    make: ({ table, bare }) => [
      `create rule ${bare('rule. it')} as on delete to ${table} where old.a = 19 do instead nothing`,
      `comment on rule ${bare('rule. it')} on ${table} is 'r'`,
    ],
  },
  {
    title: 'disabled rule',
    make: ({ table, bare, at }) => [
      `create rule ${bare('copy')} as on update to ${table} do also insert into ${at('notes')} values (new.a, old.b)`,
      `alter table ${table} disable rule ${bare('copy')}`,
    ],
  },
]

const ON_RIGHTS: readonly Feature[] = [
  {
    title: 'policies',
    make: ({ table, name, bare, reader }) => [
      `alter table ${table} enable row level security`,
      `create policy ${bare('see')} on ${table} for select to ${reader}, current_user using (a < 10 and row_to_json(${name}) is not null)`,
      `create policy ${bare('all')} on ${table} as restrictive using (a <> 3) with check (a < 100)`,
      `create policy ${bare('write')} on ${table} for insert to public with check (b is not null)`,
      `comment on policy ${bare('see')} on ${table} is 'p'`,
    ],
  },
  {
    title: 'forced policies',
    refused: 'row-security',
    make: ({ table, bare, owner }) => [
      `alter table ${table} enable row level security, force row level security`,
      `create policy ${bare('own')} on ${table} to ${owner} using (a <> 4)`,
    ],
  },
  {
    title: 'grants',
    make: ({ table, reader, writer }) => [
      `grant select, insert on ${table} to ${reader}`,
      `grant all on ${table} to ${writer}`,
      `grant delete on ${table} to ${reader} with grant option`,
    ],
  },
  {
    title: 'grants on columns',
    make: ({ table, reader, writer }) => [
      `grant select (a, d), update (b) on ${table} to ${reader}`,
      `grant insert (a) on ${table} to ${writer} with grant option`,
      `grant references (id) on ${table} to public`,
    ],
  },
  { title: 'grants to all', make: ({ table }) => [`grant select, trigger on ${table} to public`] },
  {
    title: 'grants by another',
    make: ({ table, reader, writer, owner }) => [
      `grant select, update (b) on ${table} to ${writer} with grant option`,
      `set role ${writer}`,
      `grant select, update (b) on ${table} to ${reader}`,
      `grant select on ${table} to public`,
      `set role ${owner}`,
    ],
  },
  {
    title: 'an owner with less',
    refused: 'owner-rights',
    make: ({ table, owner }) => [`revoke delete, truncate on ${table} from ${owner}`],
  },
  {
    title: 'an owner with nothing',
    refused: 'owner-rights',
    make: ({ table, owner }) => [`revoke all on ${table} from ${owner}`],
  },
  {
    title: 'default privileges',
    make: ({ owner, reader, writer }) => [
      `alter default privileges for role ${owner} in schema public grant select, delete on tables to ${reader}`,
      `alter default privileges for role ${owner} grant all on tables to ${writer}, public`,
      `alter default privileges for role ${owner} grant usage on sequences to ${reader}`,
    ],
  },
  {
    title: 'default privileges that take',
    refused: 'default-privileges',
    make: ({ owner }) => [
      `alter default privileges for role ${owner} revoke update, references on tables from ${owner}`,
      `alter default privileges for role ${owner} revoke usage on sequences from ${owner}`,
    ],
  },
]

const ON_THE_REST: readonly Feature[] = [
  {
    title: 'storage parameters',
    make: ({ table }) => [
      `alter table ${table} set (autovacuum_enabled = false, fillfactor = 80, toast.autovacuum_enabled = off, autovacuum_vacuum_scale_factor = 0.01, parallel_workers = 2)`,
    ],
  },
  { title: 'comment', make: ({ table }) => [`comment on table ${table} is $c$it's "a" table\nin \\ two lines$c$`] },
  {
    title: 'statistics',
    make: ({ table, at, owner }) => [
      `create statistics ${at('stats')} (ndistinct, dependencies) on a, b, d from ${table}`,
      `alter statistics ${at('stats')} set statistics 44`,
      `comment on statistics ${at('stats')} is 's'`,
      `alter statistics ${at('stats')} owner to ${owner}`,
    ],
  },
  {
    title: 'statistics on expressions',
    make: ({ table, at, owner }) => [
      `create statistics ${at('stats e')} on lower(b), (a + 1) from ${table}`,
      `alter statistics ${at('stats e')} owner to ${owner}`,
    ],
  },
  {
    title: 'replica identity full',
    group: 'identity',
    make: ({ table }) => [`alter table ${table} replica identity full`],
  },
  {
    title: 'replica identity nothing',
    group: 'identity',
    make: ({ table }) => [`alter table ${table} replica identity nothing`],
  },
  {
    title: 'replica identity by index',
    group: 'identity',
    make: ({ table, bare }) => [
      `create unique index ${bare('identity')} on ${table} (id, n)`,
      `alter table ${table} replica identity using index ${bare('identity')}`,
    ],
  },
  {
    title: 'publication',
    make: ({ table, bare, owner }) => [
      `create publication ${bare('pub')} for table ${table} with (publish = 'insert')`,
      `alter publication ${bare('pub')} owner to ${owner}`,
    ],
  },
  {
    title: 'publication of a part',
    from: 150000,
    make: ({ table, bare, owner }) => [
      `create publication ${bare('pub part')} for table ${table} (id, a, b) where (a > 3 and b <> 'it''s') with (publish = 'insert', publish_via_partition_root)`,
      `alter publication ${bare('pub part')} owner to ${owner}`,
    ],
  },
  {
    title: 'view',
    make: ({ table, at, reader }) => [
      `create view ${at('view')} with (security_barrier, check_option = cascaded) as select id, a, b as "Bee" from ${table} where a > 0`,
      `alter view ${at('view')} alter column a set default 12`,
      `comment on view ${at('view')} is 'v'`,
      `comment on column ${at('view')}.a is 'va'`,
      `grant select (a), insert on ${at('view')} to ${reader}`,
      `create view ${at('view on view')} as select a, count(*) as n from ${at('view')} group by a`,
      `create materialized view ${at('kept view')} as select * from ${at('view on view')}`,
    ],
  },
  {
    title: 'view with a trigger',
    make: ({ table, at, bare }) => [
      `create view ${at('joined')} as select x.id, y.a, sum(y.a) over w from ${table} x left join ${table} y using (id) window w as (order by y.d)`,
      `create trigger ${bare('instead')} instead of insert on ${at('joined')} for each row execute function ${at('nothing')}()`,
      `create rule ${bare('no')} as on delete to ${at('joined')} do instead nothing`,
    ],
  },
  {
    title: 'functions',
    make: ({ table, at, reader }) => [
      `create function ${at('count it')}(lowest int default 3) returns bigint language sql stable begin atomic select count(*) from ${table} where a > lowest; end`,
      `comment on function ${at('count it')}(int) is 'f'`,
      `revoke all on function ${at('count it')}(int) from public`,
      `grant execute on function ${at('count it')}(int) to ${reader}`,
      `create procedure ${at('clear it')}() language sql security definer set search_path = '' begin atomic delete from ${table} where a < 0; select count(*) from ${table}; end`,
    ],
  },
  {
    title: 'rules of others',
    make: ({ table, at, bare }) => [
      `create table ${at('ruled')} (x int, b text)`,
      `create rule ${bare('also. it')} as on insert to ${at('ruled')} where new.x > 3 do also insert into ${table} (n, a, b) values (-new.x, new.x, 'CREATE RULE')`,
      `comment on rule ${bare('also. it')} on ${at('ruled')} is 'r'`,
      `create rule ${bare('off')} as on delete to ${at('ruled')} do also delete from ${table} where n = old.x`,
      `alter table ${at('ruled')} disable rule ${bare('off')}`,
      `create view ${at('written')} as select 1 as one`,
      `create rule ${bare('through')} as on insert to ${at('written')} do instead (insert into ${at('notes')} values (new.one); update ${table} set a = new.one where n = 1)`,
    ],
  },
  {
    title: 'policies of others',
    make: ({ table, at, bare, reader }) => [
      `create table ${at('guarded')} (x int)`,
      `alter table ${at('guarded')} enable row level security`,
      `create policy ${bare('of those')} on ${at('guarded')} as restrictive for update to ${reader}, public using (exists (select from ${table} t where t.n = x)) with check (x < (select max(n) from ${table}))`,
      `create policy ${bare('new ones')} on ${at('guarded')} for insert with check (x in (select n from ${table}))`,
      `comment on policy ${bare('of those')} on ${at('guarded')} is 'p'`,
    ],
  },
  {
    title: 'constraint triggers of others',
    make: ({ table, at, bare }) => [
      `create table ${at('watched')} (x int)`,
      `create constraint trigger ${bare('from it')} after insert on ${at('watched')} from ${table} deferrable initially deferred for each row when (new.x > 0) execute function ${at('nothing')}('a')`,
      `alter table ${at('watched')} enable always trigger ${bare('from it')}`,
      `alter trigger ${bare('from it')} on ${at('watched')} depends on extension plpgsql`,
      `comment on trigger ${bare('from it')} on ${at('watched')} is 't'`,
    ],
  },
  {
    title: 'foreign key onto it',
    make: ({ at, table, bare }) => [
      `create table ${at('child')} (t int references ${table} (n) on delete cascade, more int)`,
      `alter table ${at('child')} add constraint ${bare('second')} foreign key (more) references ${table} (n) deferrable not valid`,
      `comment on constraint ${bare('second')} on ${at('child')} is 'in'`,
    ],
  },
  {
    title: 'foreign key onto itself',
    make: ({ table, bare }) => [
      `alter table ${table} add constraint ${bare('itself')} foreign key (a) references ${table} (n) on delete cascade`,
    ],
  },
  {
    title: 'foreign key onto itself, not valid',
    make: ({ table, bare }) => [
      `alter table ${table} add constraint ${bare('itself nv')} foreign key (a) references ${table} (n) deferrable not valid`,
      `comment on constraint ${bare('itself nv')} on ${table} is 'self'`,
    ],
  },
  {
    title: 'sequence',
    make: ({ table, at, reader, owner }) => [
      `create sequence ${at('extra seq')} as smallint increment 5 start 3 cycle cache 4`,
      `alter sequence ${at('extra seq')} owner to ${owner}`,
      `alter table ${table} add column drawn int default nextval('${at('extra seq').replaceAll("'", "''")}')`,
      `alter sequence ${at('extra seq')} owned by ${table}.drawn`,
      `grant usage on sequence ${at('extra seq')} to ${reader} with grant option`,
      `comment on sequence ${at('extra seq')} is 'seq'`,
    ],
  },
  {
    title: 'identity',
    make: ({ table, at, bare, reader }) => [
      `alter table ${table} add column numbered int generated always as identity (sequence name ${at('own name')} start 100 increment 10 minvalue 5 cache 3 cycle)`,
      `grant select, usage on sequence ${at('own name')} to ${reader}`,
      `comment on sequence ${at('own name')} is 'numbers'`,
      `comment on column ${table}.numbered is ${"'x'"}`,
      `create index ${bare('by number')} on ${table} (numbered)`,
    ],
  },
  {
    title: 'unlogged identity',
    from: 150000,
    make: ({ table, at }) => [
      `alter table ${table} add column forgetful int generated by default as identity (sequence name ${at('unlogged seq')})`,
      `alter sequence ${at('unlogged seq')} set unlogged`,
    ],
  },
  {
    title: 'what depends on an extension',
    make: ({ table, at, bare }) => [
      `create index ${bare('of plpgsql')} on ${table} (d, a)`,
      `alter index ${at('of plpgsql')} depends on extension plpgsql`,
      `create trigger ${bare('t of plpgsql')} after delete on ${table} for each row execute function ${at('nothing')}()`,
      `alter trigger ${bare('t of plpgsql')} on ${table} depends on extension plpgsql`,
      `create function ${at('f of plpgsql')}() returns bigint language sql stable begin atomic select count(*) from ${table}; end`,
      `alter function ${at('f of plpgsql')}() depends on extension plpgsql`,
    ],
  },
  {
    title: 'generated',
    make: ({ table, at }) => [
      `alter table ${table} add column "made. it" text generated always as (upper(coalesce(b, '')) || a::text) stored`,
      `alter table ${table} add column twice int generated always as (${at('twice')}(a)) stored not null`,
    ],
  },
  {
    title: 'generated virtual',
    from: 180000,
    make: ({ table }) => [`alter table ${table} add column ghost int generated always as (a * 2) virtual`],
  },
  {
    title: 'not null with a name',
    from: 180000,
    make: ({ table, bare }) => [
      `alter table ${table} add constraint ${bare('surely')} not null a`,
      `comment on constraint ${bare('surely')} on ${table} is 'nn'`,
    ],
  },
  {
    title: 'not null not valid',
    from: 180000,
    make: ({ table, bare }) => [
      `update ${table} set b = null where n = 1`,
      `alter table ${table} add constraint ${bare('some day')} not null b not valid`,
    ],
  },
  {
    title: 'not null no inherit',
    from: 180000,
    make: ({ table, bare }) => [`alter table ${table} add constraint ${bare('not below')} not null d no inherit`],
  },
  {
    title: 'check not enforced',
    from: 180000,
    make: ({ table, bare }) => [`alter table ${table} add constraint ${bare('wish')} check (a < 0) not enforced`],
  },
  {
    title: 'foreign key not enforced',
    from: 180000,
    make: ({ table, bare, parent }) => [
      `alter table ${table} add constraint ${bare('fk wish')} foreign key (p) references ${parent} (id) not enforced`,
    ],
  },
  {
    title: 'foreign key onto it, not enforced',
    from: 180000,
    make: ({ at, table, bare }) => [
      `create table ${at('stray')} (t int)`,
      // Truncating a table without any trigger, PostgreSQL 18 does not look for such foreign keys.
      `create trigger ${bare('stray t')} after truncate on ${table} execute function ${at('nothing')}()`,
      `alter table ${at('stray')} add constraint ${bare('stray fk')} foreign key (t) references ${table} (n) not enforced`,
    ],
  },
]

/** Default privileges come last, when all tables are there: else they would be given to every one of them. */
export const FEATURES: readonly Feature[] = [
  ...ON_INDEXES,
  ...ON_CONSTRAINTS,
  ...ON_TRIGGERS,
  ...ON_THE_REST,
  ...ON_RIGHTS,
]
