import { messageOf } from '../errors.ts'

// Names of SQLSTATEs. https://www.postgresql.org/docs/current/errcodes-appendix.html

export const SQLSTATE = {
  lockNotAvailable: '55P03',
  deadlockDetected: '40P01',
  serializationFailure: '40001',
  queryCanceled: '57014',
  adminShutdown: '57P01',
  crashShutdown: '57P02',
  cannotConnectNow: '57P03',
  idleInTransactionTimeout: '25P03',
  transactionTimeout: '25P04',
  idleSessionTimeout: '57P05',
  readOnlyTransaction: '25006',
  insufficientPrivilege: '42501',
  syntaxError: '42601',
  featureNotSupported: '0A000',
  undefinedTable: '42P01',
  undefinedColumn: '42703',
  invalidColumnReference: '42P10',
  undefinedSchema: '3F000',
  duplicateTable: '42P07',
  stringTruncation: '22001',
  divisionByZero: '22012',
  notNullViolation: '23502',
  uniqueViolation: '23505',
  restrictViolation: '23001',
  foreignKeyViolation: '23503',
  checkViolation: '23514',
  exclusionViolation: '23P01',
  triggeredDataChange: '27000',
  objectNotInPrerequisiteState: '55000',
  objectInUse: '55006',
  diskFull: '53100',
  tooManyConnections: '53300',
  invalidPassword: '28P01',
  invalidAuthorization: '28000',
  undefinedDatabase: '3D000',
} as const

/** The SQLSTATE of an error, or the system's code (`ECONNREFUSED`), or nothing. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** A lock was not granted within our timeout, or Citus does not wait for one of its own. It can be retried. */
export function isLockRefused(error: unknown): boolean {
  const code = codeOf(error)
  return code === SQLSTATE.lockNotAvailable || code === SQLSTATE.deadlockDetected || isRefusedByCitus(error)
}

/**
 * Whether shards are moved, copied or split, or a table is distributed, by another session: Citus refuses what concerns the
 * tables whose shards are in the same places, without waiting. An internal error (XX000) that its message alone tells.
 */
export function isRefusedByCitus(error: unknown): boolean {
  const { message } = (error ?? {}) as { readonly message?: unknown }
  return typeof message === 'string' && message.startsWith('could not acquire the lock required to ')
}

/** Classes of data exceptions, violated constraints, and what functions and triggers raise. */
const ABOUT_A_ROW = ['09', '22', '23', '27', '38', '39', '44', 'P0']

/** It is a row that is not as it would have to be, or a function that refuses it; DETAIL shows values then. RAISE may have any code. */
export function isAboutARow(error: unknown): boolean {
  const code = codeOf(error)
  if (code === undefined) return false
  return ABOUT_A_ROW.includes(code.slice(0, 2)) || (error as { routine?: unknown }).routine === 'exec_stmt_raise'
}

/** The name in PostgreSQL's manual of what a message may show values for. */
const CONDITIONS: Readonly<Record<string, string>> = {
  '22003': 'numeric value out of range',
  '22007': 'invalid datetime format',
  '22008': 'datetime field overflow',
  '22023': 'invalid parameter value',
  '22P02': 'invalid text representation',
  P0001: 'an exception was raised',
}

/** Their messages name columns, types and constraints only. */
const VALUE_FREE: readonly string[] = [SQLSTATE.divisionByZero, SQLSTATE.stringTruncation, SQLSTATE.triggeredDataChange]

/** Whether the message itself may show values, not only DETAIL: of a value that cannot be read, or in the words of a function. */
export function mayShowValues(error: unknown): boolean {
  if (!isAboutARow(error)) return false
  if (isRaised(error)) return true
  const code = codeOf(error) ?? ''
  return ABOUT_A_ROW.includes(code.slice(0, 2)) && !code.startsWith('23') && !VALUE_FREE.includes(code)
}

/** By a function in a procedural language: message and hint are its author's. A block without a name is ours. */
export function isRaised(error: unknown): boolean {
  const { file = '', where = '' } = error as { readonly file?: string; readonly where?: string }
  return /^pl(?:_|perl|py|tcl|v8)/.test(file) && !/^[^\n]*\binline_code_block [^(]/.test(where)
}

/** The reason, without values of rows. */
export function reasonOf(error: unknown): string {
  if (!mayShowValues(error)) return messageOf(error)
  const code = codeOf(error) ?? ''
  return `${CONDITIONS[code] ?? 'a row is refused'} (SQLSTATE ${code})`
}

const CONNECTION_LOST: readonly (string | undefined)[] = [
  SQLSTATE.adminShutdown,
  SQLSTATE.crashShutdown,
  SQLSTATE.cannotConnectNow,
  SQLSTATE.idleInTransactionTimeout,
  SQLSTATE.transactionTimeout,
  SQLSTATE.idleSessionTimeout,
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ETIMEDOUT',
]

/**
 * The node of a Citus cluster, `10.0.0.5:5432`, that its coordinator has lost, cannot reach, or has to bring up to date: the
 * session itself is still there. Null where the error is another one. The messages are Citus’ own, in English whatever `lc_messages` is.
 */
export function lostNode(error: unknown): string | null {
  if (!(error instanceof Error)) return null
  const { where = '' } = error as { readonly where?: string }
  const [, refused] = /^connection to the remote node (?:\S*@)?(\S+) failed/.exec(error.message) ?? []
  const [, given] = /^failure on connection marked as essential: (\S+)/.exec(error.message) ?? []
  const [, behind] = /^(\S+) is a metadata node, but is out of sync/.exec(error.message) ?? []
  const [, executing] = /^while executing command on (\S+)/m.exec(where) ?? []
  const isLost = CONNECTION_LOST.includes(codeOf(error)) || error.message.startsWith('server closed the connection')
  return refused ?? given ?? behind ?? (isLost ? executing : undefined) ?? null
}

/** The session was lost: its transaction has been rolled back, unless it was committing. */
export function isConnectionLost(error: unknown): boolean {
  if (lostNode(error) !== null) return false
  if (CONNECTION_LOST.includes(codeOf(error))) return true
  // node-postgres gives these two no code.
  return error instanceof Error && /Connection terminated|Client has encountered a connection error/.test(error.message)
}

/** It says nothing about the statement: the session was lost, or a table was locked, or it was cancelled. */
export function isOfTheMoment(error: unknown): boolean {
  return isConnectionLost(error) || isLockRefused(error) || codeOf(error) === SQLSTATE.queryCanceled
}
