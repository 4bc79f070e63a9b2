import { open } from 'node:fs/promises'
import type { Command } from 'commander'
import type { Target } from '../db/session.ts'
import { exportCandidates, sampleCandidates, type ReviewOptions } from '../engine/purge/candidate-review.ts'
import { EbbError } from '../errors.ts'
import type { StoredSet } from '../journal/candidates.ts'
import { describeCandidateSet } from '../report/candidates.ts'
import { toText } from '../text/comment.ts'
import type { Faults, Settled } from './faults.ts'
import type { Reporter } from './reporter.ts'
import { parseWhole } from './parse.ts'

/** The words on reviewing a candidate set. */
export interface ReviewWords {
  readonly sample?: string
  readonly export?: string
  readonly approvedBy?: string
  readonly ticket?: string
}

export interface Review {
  /** So many rows are shown. */
  readonly sample: number | null
  /** A file for the keys. */
  readonly file: string | null
  readonly approvedBy: string | null
  readonly ticket: string | null
}

const MOST_SAMPLED = 10_000

/** Gives a command the words on reviewing. */
export function withReview(command: Command): Command {
  return command
    .option('--sample <n>', 'print this many random rows of a candidate set, as they are now')
    .option('--export <file>', 'write the keys of a candidate set to a file, as CSV')
    .option('--approved-by <who>', 'record who approved the deletion')
    .option('--ticket <id>', 'record the ticket of the approval')
}

export function readReview(words: ReviewWords, faults: Faults): Settled<Review> {
  const sample = faults.readOptional('--sample', words.sample, (text) => parseWhole(text, 1, MOST_SAMPLED))
  return () => ({
    sample: sample(),
    file: words.export ?? null,
    approvedBy: words.approvedBy ?? null,
    ticket: words.ticket ?? null,
  })
}

/** Shows a set, and what of it was asked for; `todo` is the command that changes what was not changed. */
export async function showReview(
  target: Target,
  set: StoredSet,
  { sample, file }: Review,
  options: ReviewOptions,
  reporter: Reporter,
  todo: string | null = null,
): Promise<void> {
  const rows = sample === null ? null : await sampleCandidates(target, set.id, sample, options)
  if (file !== null) await exportTo(target, set.id, file, options)
  const last = todo === null ? [] : ['', `Nothing has been changed. To execute: ${todo}`]
  const shown = { set, ...(rows === null ? {} : { sample: rows }), ...(todo === null ? {} : { command: todo }) }
  reporter.show('candidates', shown, () =>
    toText([...describeCandidateSet(set, file), ...(rows === null ? [] : ['', ...rows]), ...last]),
  )
}

// Not over a file that is there: it may be the list that was approved.
async function exportTo(target: Target, id: string, file: string, options: ReviewOptions): Promise<void> {
  try {
    // Opened first: of a stream that cannot be opened nobody would hear in time.
    const opened = await open(file, 'wx', 0o600)
    await exportCandidates(target, id, opened.createWriteStream(), options)
  } catch (error) {
    const { code, syscall, message } = error as NodeJS.ErrnoException
    if (syscall === undefined) throw error
    throw new EbbError(
      code === 'EEXIST' ? `${file} is there already` : `cannot write ${file}: ${message}`,
      {
        state: 'The candidate set is kept; no row has been changed.',
        next: `Name another file: ebb candidates ${id} --export <file>.`,
      },
      'usage',
      error,
    )
  }
}
