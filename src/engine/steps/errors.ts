import { REFERRING_ROWS } from '../../plan/references/orphans.ts'
import { WHEN_IT_IS_BACK } from '../../db/connection-error.ts'
import {
  codeOf,
  isConnectionLost,
  isLockRefused,
  isRefusedByCitus,
  lostNode,
  reasonOf,
  SQLSTATE,
} from '../../db/sqlstate.ts'
import { EbbError } from '../../errors.ts'
import { ATTACH_AGAIN } from '../../plan/restore/partition.ts'
import type { Step } from '../../plan/language/step.ts'
import { display } from '../../sql/names.ts'
import { NotLockedError } from '../locks/short-locks.ts'

// The error of an interrupted step: what happened, how things stand, and what to do.

/** What to do after an interrupted step: of a run, which can be abandoned, or of a rotation. */
export interface StepAdvice {
  /** Follows on from a sentence that says how to resume. */
  readonly orUndo: string
  /** After an error of PostgreSQL with this SQLSTATE. */
  readonly after: (step: Step, code: string) => string
}

export const IN_RUN: StepAdvice = { orUndo: ' Or undo the run: ebb abandon.', after: nextAfter }

/** What explains an error. */
export interface StepContext {
  /** Whether a stop was requested. */
  readonly stopped: boolean
  /** The last reported wait. */
  readonly waitedFor: string | null
  readonly advice: StepAdvice
}

function howToContinue({ orUndo }: StepAdvice): string {
  return `Run the same command again: it resumes from here.${orUndo}`
}

/** A stop was requested before the step. */
export function stoppedBefore({ title }: Step, advice: StepAdvice): EbbError {
  return new EbbError(
    `stopped before: ${title}`,
    { state: 'The steps before it are kept.', next: howToContinue(advice) },
    'stopped',
  )
}

/** Explains an error within a step. Errors with an explanation are left unchanged. */
export function explainedOf(step: Step, error: unknown, { stopped, waitedFor, advice }: StepContext): unknown {
  if (error instanceof NotLockedError) return error.advising(advice.orUndo)
  if (error instanceof EbbError) return error
  if (stopped)
    return new EbbError(
      `stopped while working on: ${step.title}`,
      { state: undoneIn(step), next: howToContinue(advice) },
      'stopped',
      error,
    )
  const reason = reasonOf(error)
  const node = lostNode(error)
  if (node !== null)
    return new EbbError(
      `the node ${node} of the Citus cluster cannot be reached, while working on: ${step.title} (${reason.split('\n', 1)[0]})`,
      { state: `On all nodes: ${undoneIn(step)}`, next: `${WHEN_IT_IS_BACK}. ${howToContinue(advice)}` },
      'try later',
      error,
    )
  if (isConnectionLost(error))
    return new EbbError(
      `the connection was lost while working on: ${step.title} (${reason})`,
      {
        state: `The ${pieceOf(step)} was either committed or rolled back as a whole; the journal records which.`,
        next: howToContinue(advice),
      },
      'try later',
      error,
    )
  const code = codeOf(error)
  if (code === undefined) return error
  if (isLockRefused(error))
    return new EbbError(
      isRefusedByCitus(error)
        ? `${step.title}: ${reason}: shards are moved, or a table distributed`
        : `timed out waiting${waitedFor === null ? '' : ` ${waitedFor}`}, while working on: ${step.title}`,
      { state: `That ${pieceOf(step)} was not done; the steps before it are kept.`, next: howToContinue(advice) },
      'try later',
      error,
    )
  const slow =
    code === SQLSTATE.queryCanceled
      ? ' (it was cancelled because it took too long under lock, or by another session)'
      : ''
  return new EbbError(
    `${step.title}: ${reason}${slow}`,
    { state: undoneIn(step), next: advice.after(step, code) },
    'failed',
    error,
  )
}

/** The unit committed repeatedly within a step: a failure rolls back only the last one. */
const PIECES: Readonly<Record<Step['kind'], 'batch' | 'chunk' | null>> = {
  'dry run': null,
  index: null,
  'drop index': null,
  copy: 'chunk',
  reconcile: 'batch',
  verify: null,
  purge: 'batch',
  vacuum: null,
  check: null,
  'archive set': null,
  removal: null,
  alone: null,
  online: null,
  'short lock': null,
  detach: null,
  swap: null,
  archive: null,
  move: null,
  rewrite: null,
  restore: null,
}

function pieceOf({ kind }: Step): string {
  const piece = PIECES[kind]
  return piece === null ? 'step' : `last ${piece}`
}

function undoneIn({ kind }: Step): string {
  const piece = PIECES[kind]
  return piece === null
    ? 'The step has been rolled back; the steps before it are kept.'
    : `The last ${piece} has been rolled back; those before it are kept.`
}

function nextAfter(step: Step, code: string): string {
  const table = step.locks[0] === undefined ? 'the table' : display(step.locks[0].table)
  const again =
    step.kind === 'purge'
      ? 'run the same command again: it resumes where it stopped. Or end the run: ebb abandon.'
      : 'run the same command again, or undo the run: ebb abandon.'
  if (code === SQLSTATE.insufficientPrivilege) return `Grant the role the missing privilege, then ${again}`
  if (code === SQLSTATE.diskFull)
    return 'Free disk space on the server and run the same command again: it resumes from here. Or undo the run: ebb abandon.'
  if (step.kind === 'restore' && /^2[23]/.test(code))
    return `${table}, or a type of its columns, does not take one of the archived values. Change it and run the same command again: it resumes from here. Or end the run with ebb abandon, and restore into a new table: --into <table>.`
  if (code === SQLSTATE.checkViolation && step.key === ATTACH_AGAIN)
    return `The DEFAULT partition of ${table} has rows that belong to the new one. End the run with ebb abandon. Then move them out of the way, or restore into a new table: --into <table>.`
  if (code === SQLSTATE.checkViolation)
    return `Some rows of ${table} are beyond the bound. Undo the run with ebb abandon, correct them, and start again.`
  if (code === SQLSTATE.foreignKeyViolation && step.key === REFERRING_ROWS)
    return 'Remove them, or give them what they refer to, and run the same command again. Or drop the foreign key, and add it again NOT VALID.'
  if (code === SQLSTATE.foreignKeyViolation && step.key.startsWith('validate:'))
    return 'Delete the rows without a referenced row, or insert the rows they reference, and run the same command again: it resumes from here. Or leave the foreign key NOT VALID: ebb abandon.'
  if (code === SQLSTATE.uniqueViolation)
    return `The rows of ${table} are not unique as expected. Undo the run with ebb abandon.`
  return `Resolve the cause, then ${again}`
}
