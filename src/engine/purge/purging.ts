import { recordBatch, type BatchEntry } from '../../journal/purges.ts'
import type { PurgeWork } from '../../plan/purge/work.ts'
import { display } from '../../sql/names.ts'
import type { RunContext } from '../table-context.ts'
import type { BatchOutcome } from './batch.ts'
import type { Around, Changes } from './changes.ts'
import type { LeafFiles } from './leaf-state.ts'
import type { Progressing } from './meter.ts'
import type { BatchPast, Turns } from './turns.ts'

/** A running purge: its work, its pace, and its results. */
export interface Purging {
  readonly work: PurgeWork
  readonly context: RunContext
  readonly turns: Turns
  readonly tally: Tally
  readonly files: LeafFiles
  readonly progress: Progressing
}

/** Changes as batches are done. */
export interface Tally {
  number: number
  rows: number
  last: BatchPast | null
  /** How many more batches skip locked rows, because one was blocked recently. */
  careful: number
  /** The maximum of rows in a batch, because one was refused recently, and others often follow; null if none was. */
  few: number | null
  /** Rows that were refused before any has gone; null where that is known to be no matter of all rows. */
  refused: number | null
  /** Milliseconds of the batches that went ahead of a row, since one of the table itself was counted. */
  aheadMs: number
  /** Along an index: at how many entries a batch looks at most; null where that has never taken too long. */
  entries: number | null
}

/** Rows that were to go and that others were holding or changing. */
export function lockedOf({ found, held, gone, behind, stayed }: BatchOutcome): number {
  return found - held - gone - behind - stayed
}

/** Writes a batch into the journal, in the transaction that is open. */
export async function record(
  { context, tally, files }: Purging,
  where: Pick<BatchEntry, 'pass' | 'leaf' | 'after' | 'upto'>,
  outcome: BatchOutcome,
  milliseconds: number,
): Promise<void> {
  const { held, gone, around } = outcome
  await recordBatch(context.session, context.journalSchema, context.runId, {
    ...where,
    number: tally.number + 1,
    rows: gone,
    locked: lockedOf(outcome),
    held,
    counts: changesOf(around, 'deleted'),
    changed: changesOf(around, 'updated'),
    milliseconds,
    file: files.get(display(where.leaf)) ?? null,
  })
}

function changesOf(around: Around, which: keyof Changes): Record<string, number> {
  const entries = Object.entries(around).map(([table, changes]) => [table, changes[which]] as const)
  return Object.fromEntries(entries.filter(([, rows]) => rows > 0))
}

/** To be called when a batch has committed. */
export function count(
  tally: Tally,
  { found, gone, commitMs }: BatchOutcome,
  effort: number,
  milliseconds: number,
): void {
  if (found > 0) tally.number += 1
  tally.rows += gone
  tally.last = { rows: effort, milliseconds: milliseconds - tally.aheadMs, commitMs }
  tally.aheadMs = 0
}
