// What is not quite PostgreSQL, or is somewhere else, known by its looks. A difference is from the documentation of that
// product, and was not tried, unless it says so: docs/managed-services.md has the sources. Pure.

/** What a server shows of itself. */
export interface Looks {
  /** What `version()` says. */
  readonly version: string
  /** Those of `TELLING_ROLES` that there are. */
  readonly roles: readonly string[]
  /** Those of `TELLING_FUNCTIONS` that there are. */
  readonly functions: readonly string[]
}

export interface Flavour {
  readonly name: string
  readonly looksLike: (looks: Looks) => boolean
  /** What is worth knowing before Ebb is used there. */
  readonly differences: readonly string[]
  /** Why nothing is done there, or no session is even set up; missing where Ebb works. */
  readonly refused?: { readonly at: 'every change' | 'connecting'; readonly why: string; readonly instead: string }
}

const byVersion =
  (part: RegExp) =>
  ({ version }: Looks) =>
    part.test(version)
const byRole =
  (role: string) =>
  ({ roles }: Looks) =>
    roles.includes(role)

const AURORA = 'aurora_version'

export const TELLING_FUNCTIONS: readonly string[] = [AURORA]

const OF_RDS = [
  'its storage grows and cannot be reduced: a rebuild may make it larger for good; ebb advise compares',
  'connect to the instance, and not through RDS Proxy, which pins sessions that change settings',
]

/** The flavours, each with its looks; one that is known more closely comes first. */
const FLAVOURS: readonly Flavour[] = [
  {
    name: 'Amazon Aurora',
    looksLike: ({ functions }) => functions.includes(AURORA),
    differences: [
      'its storage shrinks when partitions or tables are dropped or truncated, and not when rows are deleted',
      'whether the lag and the old snapshots of its replicas can be seen is unknown',
    ],
  },
  { name: 'Amazon RDS', looksLike: byRole('rds_superuser'), differences: OF_RDS },
  {
    name: 'Google AlloyDB',
    looksLike: byRole('alloydbsuperuser'),
    differences: ['a table of another role takes membership in that role: there is no superuser'],
  },
  {
    name: 'Google Cloud SQL',
    looksLike: byRole('cloudsqlsuperuser'),
    differences: [
      'a table of another role takes membership in that role: there is no superuser',
      'connect directly, and not through managed connection pooling, which is not advised for long connections',
    ],
  },
  {
    name: 'Azure Database for PostgreSQL',
    looksLike: byRole('azure_pg_admin'),
    differences: [
      'its storage cannot be reduced, and at 95 % of it the server becomes read-only, so that nothing is dropped either',
      'connect to port 5432: the PgBouncer on port 6432 is recommended in transaction mode',
    ],
  },
  {
    name: 'Supabase',
    looksLike: byRole('supabase_admin'),
    differences: [
      'connect directly, or to port 5432 of the pooler: port 6543 is in transaction mode',
      'its disk grows at most four times in 24 hours, and then the project becomes read-only: enlarge it before a large copy',
    ],
  },
  {
    name: 'Neon',
    looksLike: byRole('neon_superuser'),
    differences: [
      'connect to the host name without -pooler, which is PgBouncer in transaction mode',
      'unlogged tables do not survive a compute that is suspended; Ebb’s own are logged',
    ],
  },
  {
    name: 'EDB Postgres Advanced Server',
    looksLike: byVersion(/EnterpriseDB Advanced Server/),
    differences: ['with edb_redwood_date a column that is declared as date is a timestamp: it counts as such here'],
  },
  {
    name: 'YugabyteDB',
    looksLike: byVersion(/-YB-/),
    differences: [],
    refused: {
      at: 'every change',
      why: 'its tables are stored by DocDB, and LOCK TABLE, by which Ebb keeps others waiting for milliseconds only, is on its list of what is not supported',
      instead: 'Create and drop partitions with pg_partman, which its documentation supports.',
    },
  },
  {
    name: 'CockroachDB',
    looksLike: byVersion(/^CockroachDB/),
    differences: [],
    refused: {
      at: 'connecting',
      why: 'it speaks the protocol of PostgreSQL, and has neither its heap nor its locks nor its declarative partitions',
      instead: 'Let rows expire by its own row-level TTL.',
    },
  },
  {
    name: 'Greenplum',
    looksLike: byVersion(/Greenplum Database|Cloudberry/),
    differences: [],
    refused: {
      at: 'every change',
      why: 'its tables are distributed over segments, of which Ebb would see the coordinator only',
      instead: 'Create and drop partitions by its own ALTER TABLE … ADD PARTITION and DROP PARTITION.',
    },
  },
  {
    name: 'PGlite',
    looksLike: byVersion(/\(PGlite /),
    differences: [],
    refused: {
      at: 'connecting',
      why: 'all its connections share one session, so the settings of Ebb would be those of the application, and it could not watch its own locks (tried with 0.5.14)',
      instead: 'Use a PostgreSQL server; ebb demo starts one from npm.',
    },
  },
]

const NO_LOOKS = { roles: [], functions: [] }

/** The roles by which services are known. */
export const TELLING_ROLES: readonly string[] = [
  'rds_superuser',
  'alloydbsuperuser',
  'cloudsqlsuperuser',
  'azure_pg_admin',
  'supabase_admin',
  'neon_superuser',
]

/** What a server is, as far as it shows; null where it looks like PostgreSQL itself. */
export function flavourOf(looks: Looks): Flavour | null {
  return FLAVOURS.find(({ looksLike }) => looksLike(looks)) ?? null
}

/** Why nothing is changed on a server of this `version()`; null where Ebb works. */
export function refusedAs(
  version: string,
): { readonly name: string; readonly why: string; readonly instead: string } | null {
  const flavour = flavourOf({ version, ...NO_LOOKS })
  return flavour?.refused === undefined ? null : { name: flavour.name, ...flavour.refused }
}
