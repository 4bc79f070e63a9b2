import type { RestoreResult } from '../engine/commands/restore.ts'
import { planRestoring, restoreRows } from '../engine/restore/restoring.ts'
import type { OnConflict } from '../plan/restore/situation.ts'
import type { RestorePlan } from '../plan/restore/restore.ts'
import { RESTORE } from '../requests/restore.ts'
import { call, type Call } from './call.ts'
import type { Table } from './database.ts'
import type { LockOptions, Options } from './options.ts'

/** Which archived rows are restored, and where. */
export interface RestoreOptions extends Options, LockOptions {
  /** The address of a receipt. */
  readonly receipt: string
  /** Which of its tables, if it has several; all by default. */
  readonly table?: Table
  /** The table for the rows, created if there is none; by default the one that they were in. */
  readonly into?: Table
  /** Only rows for which this is true, as after WHERE. */
  readonly where?: string
  /** What becomes of a row that the table has with other values; by default it is kept. */
  readonly onConflict?: OnConflict
  /** Recreates the partition that the rows were in, if it no longer exists. */
  readonly attach?: boolean
  /** Key files of age, for an encrypted archive. */
  readonly identityFiles?: readonly string[]
  /** How long no command removes the rows again: `90 days`, or `none`; by default 30 days. */
  readonly hold?: string
}

/**
 * Restores archived rows. Rows that are there already are left as they are, unless `onConflict` says otherwise.
 *
 * @throws {ObjectionsError} with `execute`, when there are blocking issues; without, they are in the plan
 */
export const restore: Call<RestoreOptions, RestorePlan, RestoreResult> = call(RESTORE, (asked) => {
  const { target, request, values } = asked
  const engine = { ...asked.engine, identities: values.identityFile }
  return {
    plan: () => planRestoring(target, request, engine),
    carryOut: () => restoreRows(target, request, engine),
  }
})
