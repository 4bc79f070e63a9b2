import { quoted } from '../../sql/names.ts'
import { ident, raw, sql } from '../../sql/sql.ts'
import type { KeyChoice } from './key-choice.ts'
import type { SwapRequest } from '../table/swap.ts'
import type { DryRunStep } from '../language/step.ts'

const TWIN = sql`pg_temp.ebb_twin`
const PARENT = sql`pg_temp.ebb_parent`
/** `like` names the primary key after the new table. */
const TWIN_KEY = 'ebb_twin_pkey'

/**
 * Plays the attach through with an empty twin of the table, in temporary tables
 * and a transaction that is rolled back. The last statement is the attach: it
 * must neither build an index on the twin nor look for rows beyond the bound,
 * or the real one would do so under lock.
 *
 * Foreign keys are left out, because they would lock the tables they point to.
 */
export function dryRun({ table, key, guard, primaryKey, cut }: SwapRequest, choice: KeyChoice): DryRunStep {
  const like = raw('including all excluding identity')
  const bound = sql`${ident(choice.column)} < ${cut}::${raw(choice.type)}`
  const replaceKey =
    primaryKey === null
      ? []
      : [
          sql`alter table ${TWIN} drop constraint ${ident(TWIN_KEY)}`.text,
          sql`alter table ${TWIN} add ${raw(primaryKey.definition)}`.text,
        ]
  return {
    kind: 'dry run',
    key: 'dry run',
    title: 'dry run on an empty copy, rolled back',
    because: 'it shows whether anything would be built or read under lock before anything real is touched',
    locks: [{ table: table.name, mode: 'ACCESS SHARE', blocks: 'nothing', held: 'milliseconds' }],
    cost: 'milliseconds',
    twin: { schema: 'pg_temp', name: 'ebb_twin' },
    statements: [
      sql`create temporary table ebb_twin (like ${quoted(table.name)} ${like})`.text,
      ...replaceKey,
      sql`alter table ${TWIN} add constraint ${ident(guard)} check (${bound})`.text,
      sql`create temporary table ebb_parent (like ${TWIN} ${like}) partition by ${raw(key)}`.text,
      sql`alter table ${PARENT} drop constraint ${ident(guard)}`.text,
      sql`alter table ${PARENT} attach partition ${TWIN} for values from (minvalue) to (${cut})`.text,
    ],
  }
}
