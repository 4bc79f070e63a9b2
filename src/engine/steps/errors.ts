import { REFERRING_ROWS } from '../../plan/references/orphans.ts'
import { codeOf, isConnectionLost, isLockRefused, SQLSTATE } from '../../db/sqlstate.ts'
import { EbbError, reasonOf } from '../../errors.ts'
import type { Step } from '../../plan/language/step.ts'
import { display } from '../../sql/names.ts'

// What a step that did not come to its end says: what happened, how things stand, and what to do.

/** Only a run can be abandoned. */
const ABANDON = 'Or undo what was done: ebb abandon.'

/** What the one who meets the error can do next, besides what the error itself says. */
export interface StepContext {
  /** Whether somebody asked to stop: then the error is our own doing. */
  readonly stopped: boolean
  /** What was last said of a wait. */
  readonly waitedFor: string | null
  readonly ofRun: boolean
}

function goOn(ofRun: boolean): string {
  return `Run the same command again: it resumes from here.${ofRun ? ` ${ABANDON}` : ''}`
}

/** Somebody asked to stop, and it was about to begin. */
export function stoppedBefore({ title }: Step, ofRun: boolean): EbbError {
  return new EbbError(
    `stopped before: ${title}`,
    { state: 'The steps before it are kept.', next: goOn(ofRun) },
    'stopped',
  )
}

/** What an error within a step means. What explains itself already stays as it is. */
export function explainedOf(step: Step, error: unknown, { stopped, waitedFor, ofRun }: StepContext): unknown {
  if (error instanceof EbbError) return error
  if (stopped)
    return new EbbError(
      `stopped while working on: ${step.title}`,
      { state: undoneIn(step), next: goOn(ofRun) },
      'stopped',
      error,
    )
  const reason = reasonOf(error)
  if (isConnectionLost(error))
    return new EbbError(
      `the connection was lost while working on: ${step.title} (${reason})`,
      {
        state: `The ${pieceOf(step)} is either undone or done as a whole; the journal knows which.`,
        next: goOn(ofRun),
      },
      'try later',
      error,
    )
  const code = codeOf(error)
  if (code === undefined) return error
  if (isLockRefused(error))
    return new EbbError(
      `gave up waiting${waitedFor === null ? '' : ` ${waitedFor}`}, while working on: ${step.title}`,
      { state: `That ${pieceOf(step)} is not done; the steps before it are kept.`, next: goOn(ofRun) },
      'try later',
      error,
    )
  const slow =
    code === SQLSTATE.queryCanceled
      ? ' (it was cancelled because it took too long under lock, or by somebody else)'
      : ''
  return new EbbError(
    `${step.title}: ${reason}${slow}`,
    { state: undoneIn(step), next: ofRun ? nextAfter(step, code) : nextAfterRotating(step, code) },
    'failed',
    error,
  )
}

/** What is committed again and again within a step: a failure undoes the last one alone. */
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
  alone: null,
  online: null,
  'short lock': null,
  detach: null,
  swap: null,
}

function pieceOf({ kind }: Step): string {
  const piece = PIECES[kind]
  return piece === null ? 'step' : `last ${piece}`
}

function undoneIn({ kind }: Step): string {
  const piece = PIECES[kind]
  return piece === null
    ? 'The step has been undone; the steps before it are kept.'
    : `The last ${piece} has been undone; those before it are kept.`
}

function nextAfter(step: Step, code: string): string {
  const table = step.locks[0] === undefined ? 'the table' : display(step.locks[0].table)
  const again =
    step.kind === 'purge'
      ? 'run the same command again: it resumes from there. Or leave it at that: ebb abandon.'
      : 'run the same command again, or undo what was done: ebb abandon.'
  if (code === SQLSTATE.insufficientPrivilege) return `Give the role what it lacks, then ${again}`
  if (code === SQLSTATE.diskFull)
    return 'Make room on the server’s disk and run the same command again: it resumes from here. Or undo what was done: ebb abandon.'
  if (code === SQLSTATE.checkViolation)
    return `Some rows of ${table} lie beyond the bound. Undo what was done with ebb abandon, correct them, and start again.`
  if (code === SQLSTATE.foreignKeyViolation && step.key === REFERRING_ROWS)
    return 'Remove them, or give them what they refer to, and run the same command again. Or drop the foreign key, and add it again NOT VALID.'
  if (code === SQLSTATE.foreignKeyViolation && step.key.startsWith('validate:'))
    return 'Remove the rows that refer to nothing, or give them what they refer to, and run the same command again: it resumes from here. Or leave the foreign key NOT VALID: ebb abandon.'
  if (code === SQLSTATE.uniqueViolation)
    return `The rows of ${table} are not unique as assumed. Undo what was done with ebb abandon.`
  return `Remove the cause, then ${again}`
}

function nextAfterRotating({ key }: Step, code: string): string {
  if (code === SQLSTATE.checkViolation)
    return 'The default partition holds rows that belong into the new one: move them out of it, then rotate again.'
  if (code === SQLSTATE.queryCanceled)
    return 'Where there is a default partition, give it a valid CHECK that excludes what is to come, so that it need not be read; then rotate again.'
  if (code === SQLSTATE.foreignKeyViolation && key.startsWith('detach:'))
    return 'Remove or re-point the rows that refer to it; the next rotation tries again.'
  return 'Remove the cause, then rotate again: it resumes from here.'
}
