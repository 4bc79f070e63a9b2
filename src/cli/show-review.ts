import { open } from 'node:fs/promises'
import type { Target } from '../db/session.ts'
import { candidates } from '../engine/commands/candidates.ts'
import {
  approveCandidates,
  candidateSet,
  exportCandidates,
  sampleCandidates,
  type ReviewOptions,
} from '../engine/purge/candidates/review.ts'
import { EbbError } from '../errors.ts'
import type { StoredSet } from '../journal/candidates.ts'
import { describeCandidateSet } from '../report/candidates.ts'
import { display } from '../sql/names.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { toText } from '../text/comment.ts'
import type { Asked } from './command.ts'
import { planOrCarryOut } from './show-plan.ts'

/** What is shown of a candidate set, and its approval. */
export interface Review {
  /** How many rows are shown. */
  readonly sample: number | null
  /** A file for the keys. */
  readonly export: string | null
  readonly approvedBy: string | null
  readonly ticket: string | null
}

/** Shows the plan of a candidate set, or records and shows it. */
export async function recordCandidates(asked: Asked, table: WrittenName, where: string, review: Review): Promise<void> {
  const { reporter, target, engine } = asked
  await planOrCarryOut(asked, table, candidates, { where }, async (_asked, { runId, plan }) => {
    if (runId === null)
      return reporter.show('candidates', { set: null }, () => `${display(plan.table)}: no row matches.\n`)
    const { approvedBy, ticket } = review
    await approveCandidates(target, runId, { approvedBy, ticket }, engine)
    await showReview(asked, await candidateSet(target, runId, engine), review)
  })
}

/** Shows a set; `todo` is the command that would execute what was not executed. */
export async function showReview(
  { target, engine, reporter }: Asked,
  set: StoredSet,
  { sample, export: file }: Review,
  todo: string | null = null,
): Promise<void> {
  const rows = sample === null ? null : await sampleCandidates(target, set.id, sample, engine)
  if (file !== null) await exportTo(target, set.id, file, engine)
  const last = todo === null ? [] : ['', `Nothing has been changed. To execute: ${todo}`]
  const shown = { set, ...(rows === null ? {} : { sample: rows }), ...(todo === null ? {} : { command: todo }) }
  reporter.show('candidates', shown, () =>
    toText([...describeCandidateSet(set, file), ...(rows === null ? [] : ['', ...rows]), ...last]),
  )
}

// An existing file is not overwritten: it may be the list that was approved.
async function exportTo(target: Target, id: string, file: string, options: ReviewOptions): Promise<void> {
  try {
    // Opened first: the failure to open a stream would be reported too late.
    const opened = await open(file, 'wx', 0o600)
    await exportCandidates(target, id, opened.createWriteStream(), options)
  } catch (error) {
    const { code, syscall, message } = error as NodeJS.ErrnoException
    if (syscall === undefined) throw error
    throw new EbbError(
      code === 'EEXIST' ? `${file} already exists` : `cannot write ${file}: ${message}`,
      {
        state: 'The candidate set is kept; no row has been changed.',
        next: `Name another file: ebb candidates ${id} --export <file>.`,
      },
      'usage',
      error,
    )
  }
}
