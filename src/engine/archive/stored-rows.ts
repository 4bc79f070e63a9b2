import { isLocal, type CitusTable } from '../../catalog/citus.ts'
import { readCitus } from '../../catalog/managers.ts'
import { putOnAllNodes } from '../../catalog/partitions/stored-leaves.ts'
import { describeHolder } from '../../db/holders.ts'
import { readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { inSnapshot, inTransaction } from '../../db/transaction.ts'
import { EbbError } from '../../errors.ts'
import type { RowsToArchive } from '../../plan/archive/rows.ts'
import { fingerprintOf, type Fingerprint } from '../../plan/table/fingerprint.ts'
import type { ConditionSettings } from '../../sql/condition-settings.ts'
import { display, type TableName } from '../../sql/names.ts'
import { readHoldersOnNodes } from '../locks/on-workers.ts'
import type { TableContext } from '../table-context.ts'
import type { ArchiveOrder } from './archive-rows.ts'

// Archives rows of a table that Citus stores. Its nodes share no snapshot: rows that are read while others write may be of
// different moments, and of a transaction on two nodes there may be one half. So it has a receipt only if nothing was
// written: the table has the same fingerprint before and after, as many rows were archived as there were then, and in
// between no node had prepared a transaction on it, of which another node may have committed its part. Then each node has
// had the same rows all the time, and they belong together.

/** A table is archived by `archive` alone where PostgreSQL stores it, and else with what proves that nothing was written. */
export async function withProof<T>(
  context: TableContext,
  rows: RowsToArchive,
  settings: ConditionSettings,
  archive: (proof: Pick<ArchiveOrder, 'stored'>) => Promise<T>,
): Promise<T> {
  const citus = await inSnapshot(context.session, () => readCitus(context.session, rows.table))
  if (citus === null || isLocal(citus)) return archive({})
  const before = await readInTransaction(context, rows, citus, settings)
  const assertUnchanged = async (archived: number) => {
    await assertNotHalf(context, rows.table)
    const after = await readInTransaction(context, rows, citus, settings)
    if (after.fingerprint !== before.fingerprint || archived !== before.rows) throw new RowsWrittenError(rows.table)
  }
  return archive({ stored: { fingerprint: before.fingerprint, assertUnchanged } })
}

function readInTransaction(
  context: TableContext,
  { table, where }: RowsToArchive,
  citus: CitusTable,
  settings: ConditionSettings,
): Promise<Fingerprint> {
  const { session, lockLimits } = context
  return inTransaction(session, { local: [`lock_timeout = ${Math.ceil(lockLimits.deadlineMs)}`] }, async () => {
    // A condition means the same on each node, and so does the text of a value.
    await putOnAllNodes(session, settings)
    return readFingerprint(session, table, citus, where)
  })
}

export function readFingerprint(
  session: Session,
  table: TableName,
  citus: CitusTable,
  where: string | null = null,
): Promise<Fingerprint> {
  return readOne<Fingerprint>(session, fingerprintOf(table, citus, where))
}

/** A transaction that one node has committed, and another has not yet. */
async function assertNotHalf({ control }: TableContext, table: TableName): Promise<void> {
  const prepared = (await readHoldersOnNodes(control, [table])).find(({ gid }) => gid !== null)
  if (prepared !== undefined) throw new RowsWrittenError(table, `: ${describeHolder(prepared)}`)
}

/** Rows were written while they were read, and may not belong together. */
export class RowsWrittenError extends EbbError {
  override readonly name = 'RowsWrittenError'

  constructor(table: TableName, by = '') {
    super(
      `${display(table)} was written to while it was archived${by}`,
      {
        state: 'The archive has no receipt, and nothing has been removed.',
        next: 'Nodes of Citus share no snapshot, so it is archived when nobody writes to it: archive partitions that are no longer written to, by their names, or run the same command again at a quiet hour.',
      },
      'try later',
    )
  }
}

/** How often rows are archived while others write to them. */
const MOST_ARCHIVES = 3

/** Does it again where rows were written meanwhile; `tidy` removes what the attempt has left. */
export async function archivingAgain<T>(
  { observer }: TableContext,
  tidy: () => Promise<unknown>,
  archiveOnce: () => Promise<T>,
): Promise<T> {
  for (let left = MOST_ARCHIVES; ; left--) {
    try {
      return await archiveOnce()
    } catch (error) {
      if (!(error instanceof RowsWrittenError) || left === 1) throw error
      observer({ type: 'note', text: `${error.message}: it is archived again` })
      await tidy()
    }
  }
}
