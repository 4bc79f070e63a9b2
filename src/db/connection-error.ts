import { EbbError, messageOf, UsageError, type ErrorKind } from '../errors.ts'
import { codeOf, isConnectionLost, lostNode, SQLSTATE } from './sqlstate.ts'

// Why there is no session, and what to do about it.

/** Explains an error where the server, a node of its cluster or the network went down in the middle of it. */
export function lossExplained(error: unknown): unknown {
  if (error instanceof EbbError) return error
  const node = lostNode(error)
  if (node !== null) return nodeLost(node, error)
  return isConnectionLost(error) ? connectionLost(error) : error
}

/** What is done on all nodes is done on all or none, so a rotation or a purge waits for the one that is down. */
function nodeLost(node: string, error: unknown): EbbError {
  return new EbbError(
    `the node ${node} of the Citus cluster cannot be reached (${messageOf(error).split('\n', 1)[0]})`,
    {
      state: 'What was committed before is kept; what was not is undone on all nodes.',
      next: `${WHEN_IT_IS_BACK} (select * from citus_check_cluster_node_health();). Run the same command again: it resumes from there.`,
    },
    'try later',
    error,
  )
}

/** What to do about a node. */
export const WHEN_IT_IS_BACK = 'Wait until the node is back, or remove it from the cluster'

function connectionLost(error: unknown): EbbError {
  const reason = messageOf(error)
  return new EbbError(
    `the connection was lost (${reason})`,
    {
      state: 'Its last transaction has been either committed or rolled back as a whole; the journal records which.',
      next: 'When the server can be reached, run the same command again: it resumes from there.',
    },
    'try later',
    error,
  )
}

/** The server or the network is temporarily unavailable. ENOENT: no socket in that directory. */
const AWAY = ['ECONNREFUSED', 'EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ETIMEDOUT', 'EAI_AGAIN', 'ENOENT']

/** Node's codes for an untrusted certificate. */
const UNTRUSTED = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
]

/** Explains why there is no session. The cause is not printed: a connection string may contain a password. */
export function connectionError(error: unknown): Error {
  const code = codeOf(error)
  const reason = error instanceof Error ? error.message || String(code) : String(error)
  const state = 'No session was opened, so nothing has been read or changed.'
  const refused = (next: string, kind: ErrorKind = 'failed') =>
    new EbbError(`cannot connect: ${reason}`, { state, next }, kind, error)

  if (code === SQLSTATE.invalidAuthorization && /no encryption/.test(reason))
    return refused('The server wants TLS, or another user or database: add ?sslmode=require to the connection string.')
  if (
    code === SQLSTATE.invalidPassword ||
    code === SQLSTATE.invalidAuthorization ||
    /password must be a string/.test(reason)
  )
    return refused('Check user and password: --url, DATABASE_URL, PGPASSWORD or the password file.')
  if (code === SQLSTATE.undefinedDatabase)
    return refused('Check the database name in --url, DATABASE_URL or PGDATABASE.')
  if (code === SQLSTATE.tooManyConnections)
    return refused('Ebb needs three free connections, five for a copy. Try again when some are free.', 'try later')
  if (code === SQLSTATE.cannotConnectNow)
    return refused('The server is starting or stopping. Try again in a moment.', 'try later')
  const whereabouts =
    'Check that the server runs and that host and port are right: --url, DATABASE_URL, PGHOST, PGPORT.'
  if ((error as NodeJS.ErrnoException).syscall === 'open')
    return refused('Check the files that the connection string names: sslrootcert, sslcert, sslkey.', 'usage')
  if (AWAY.includes(code ?? '') || /timeout expired/.test(reason)) return refused(whereabouts, 'try later')
  if (code === 'ENOTFOUND') return refused(whereabouts)
  if (UNTRUSTED.includes(code ?? ''))
    return refused(
      'Name the CA that signed the server’s certificate: ?sslmode=verify-full&sslrootcert=<file>. On a trusted network ?sslmode=require also works: it encrypts without verifying.',
    )
  if (isConnectionLost(error))
    return refused(
      'The server, or a proxy in between, closed the connection while it was being opened. Try again in a moment.',
      'try later',
    )
  if (code === 'ERR_INVALID_URL' || /Invalid URL/i.test(reason))
    return new UsageError(
      'the connection string cannot be read',
      'Write it as postgres://user:password@host:5432/database.',
      error,
    )
  if (/SSL/.test(reason))
    return refused('Add ?sslmode=disable (or require, verify-full) to the connection string, as the server needs it.')
  return refused('Check the connection string (--url or DATABASE_URL).')
}
