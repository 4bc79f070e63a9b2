import { refusedAs } from '../../../text/flavours.ts'
import type { ServerModel } from '../../../catalog/server-model.ts'
import { ident } from '../../../sql/sql.ts'
import { objection, when } from '../../language/objection.ts'
import { shellWord } from '../../../text/shell-word.ts'
import type { Objection } from '../../language/step.ts'

export const OLDEST_VERSION = 140000

/** The tests run on nothing newer; see docs/versions.md. */
const NEWEST_MAJOR = 19

/** Releases that can lose data under what Ebb does; see docs/versions.md. */
const BROKEN_MINORS: readonly (readonly [from: number, fixed: number, text: string])[] = [
  [140000, 140004, '14.0 to 14.3 can corrupt indexes built concurrently'],
  [140004, 140014, '14 before 14.14 stops enforcing foreign keys after a partition is detached'],
  [150000, 150009, '15 before 15.9 stops enforcing foreign keys after a partition is detached'],
  [160000, 160005, '16 before 16.5 stops enforcing foreign keys after a partition is detached'],
  [170000, 170001, '17.0 stops enforcing foreign keys after a partition is detached'],
]

/** Why nothing can be done on this server, or with this role. */
export function serverObjections(server: ServerModel, journalSchema: string): Objection[] {
  const refused = refusedAs(server.engine ?? '')
  if (refused !== null) return [otherEngine(refused)]
  if (server.version < OLDEST_VERSION) return [unsupported(server)]
  if (server.inRecovery)
    return [objection('replica', 'this server is a replica', 'Connect to the primary: nothing can be changed here.')]
  return [
    ...when(server.readOnly, () =>
      objection(
        'read-only',
        'sessions of this role or database are read only (default_transaction_read_only)',
        `Connect as a role that may write, or: alter role ${ident(server.role).text} set default_transaction_read_only = off;`,
      ),
    ),
    ...when(!server.firesTriggers, () => firesNoTriggers(server)),
    ...journalObjections(server, journalSchema),
  ]
}

/** Sessions of Ebb are set right where the role may set them. */
export function firesNoTriggers({ role }: Pick<ServerModel, 'role'>): Objection {
  const name = ident(role).text
  return objection(
    'replication-role',
    `sessions of ${role} run as a replica (session_replication_role), in which neither triggers nor foreign keys do their work, and ${role} may not change that`,
    `As an administrator: alter role ${name} reset session_replication_role; or, where the database sets it, alter role ${name} set session_replication_role = origin; from 15 on, grant set on parameter session_replication_role to ${name}; will do.`,
  )
}

function journalObjections(server: ServerModel, journalSchema: string): Objection[] {
  const [schema, role] = [ident(journalSchema).text, ident(server.role).text]
  if (!server.journalExists && !server.mayCreateSchema)
    return [
      objection(
        'journal-schema',
        `there is no schema ${journalSchema} for the journal, and ${server.role} may not create one`,
        `As an administrator: create schema ${schema} authorization ${role};`,
      ),
    ]
  if (server.journalExists && !server.journalUsable)
    return [
      objection(
        'journal-rights',
        `the journal in schema ${journalSchema} belongs to another role, and ${server.role} may not use it`,
        `Let its owner be granted to ${role}, which then may do all that the owner may; or keep a journal of your own with --journal-schema <name>.`,
      ),
    ]
  return []
}

/** What is worth knowing of this server before anything is done; not in the way. */
export function serverNotes(server: ServerModel): string[] {
  return [...releaseNotes(server), ...publicationNotes(server)]
}

function releaseNotes({ version, versionText }: ServerModel): string[] {
  const broken = BROKEN_MINORS.filter(([from, fixed]) => version >= from && version < fixed)
  const untested = version >= (NEWEST_MAJOR + 1) * 10_000
  return [
    ...broken.map(([, , text]) => `PostgreSQL ${text}: update to the latest minor release first`),
    ...(untested
      ? [
          `PostgreSQL ${versionText} is newer than any that Ebb is tested with (14 to ${NEWEST_MAJOR}): try this on a copy first`,
        ]
      : []),
  ]
}

// The journal is written to and has sequences: subscribers ask for the whole of what is published.
function publicationNotes({ publishingAll, journalSchema }: ServerModel): string[] {
  const fix = `give them those: pg_dump --schema-only --schema=${patternOf(journalSchema)} … | psql …`
  return publishingAll.flatMap(({ name, tables, sequences }) => [
    ...(tables
      ? [
          `publication ${name} publishes all tables, the journal’s in ${journalSchema} too, and subscribers stop at tables they do not have; ${fix}`,
        ]
      : []),
    ...(sequences
      ? [
          `publication ${name} publishes all sequences, the journal’s in ${journalSchema} too, and subscribers cannot refresh without having them; ${fix}`,
        ]
      : []),
  ])
}

// pg_dump takes a pattern, in which capitals count only within quotes.
function patternOf(schema: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(schema) ? schema : shellWord(ident(schema).text)
}

function otherEngine({
  name,
  why,
  instead,
}: {
  readonly name: string
  readonly why: string
  readonly instead: string
}) {
  return objection('engine', `this is ${name}: ${why}`, instead)
}

function unsupported(server: ServerModel): Objection {
  return objection('server-version', `this is PostgreSQL ${server.versionText}`, 'Ebb needs PostgreSQL 14 or later.')
}
