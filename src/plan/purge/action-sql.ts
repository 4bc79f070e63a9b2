import { quoted, sameName } from '../../sql/names.ts'
import { ident, join, raw, sql, type Sql } from '../../sql/sql.ts'
import { bytesOf, fingerprintOf, SET_COLUMNS } from './candidate-sql.ts'
import { isListed, sameVersion } from './version-list.ts'
import type { Action, RecordAction, PurgeLeaf, PurgeWork } from './work.ts'

/**
 * The statement that deletes, marks or records the rows `t` of a leaf selected by `those`; `returning` may follow. Of
 * listed ones, the newest version has to be that of its entry, which `candidate` has.
 */
export function actionSql({ action, leaves }: PurgeWork, leaf: PurgeLeaf, those: Sql): Sql {
  const place = sql`only ${quoted(leaf.name)} t`
  switch (action.kind) {
    case 'delete':
      return isListed(leaf.walk)
        ? sql`delete from ${place} using candidate ebb_c where ${sameVersion()} and ${those}`
        : sql`delete from ${place} where ${those}`
    case 'mark':
      return sql`update ${place} set ${raw(action.set)} where ${those}`
    case 'record': {
      const number = leaves.findIndex(({ name }) => sameName(name, leaf.name))
      return record(action, sql`select ${raw(String(number))}, ${rowColumns(action)} from ${place} where ${those}`)
    }
  }
}

// A row that was moved may be met twice; its current state counts.
function record({ into, key }: RecordAction, rows: Sql): Sql {
  const { leaf, fingerprint, bytes } = SET_COLUMNS
  const columns = [leaf, ...key, fingerprint, bytes].map((name) => ident(name))
  const identity = [leaf, ...key].map((name) => ident(name))
  const anew = [fingerprint, bytes].map((name) => sql`${ident(name)} = excluded.${ident(name)}`)
  return sql`insert into ${quoted(into)} (${join(columns)}) ${rows}
  on conflict (${join(identity)}) do update set ${join(anew)}`
}

function rowColumns({ key }: RecordAction): Sql {
  return join([...key.map((name) => sql`t.${ident(name)}`), fingerprintOf(), bytesOf()])
}

/** How an action is reported: `deleting, 300 rows deleted`; `stopped while purging public.events`. */
export const ACTION_TEXTS: Readonly<Record<Action['kind'], ActionText>> = {
  delete: { doing: 'deleting', done: 'gone', at: 'purging' },
  mark: { doing: 'marking', done: 'marked', at: 'marking rows of' },
  record: { doing: 'recording candidates', done: 'recorded', at: 'recording candidates of' },
}

export interface ActionText {
  readonly doing: string
  readonly done: string
  readonly at: string
}

/** The texts for what a command does batch by batch; undefined for one that does not. */
export function actionText(command: string): ActionText | undefined {
  if (command === 'purge') return ACTION_TEXTS.delete
  if (command === 'mark') return ACTION_TEXTS.mark
  return command === 'candidates' ? ACTION_TEXTS.record : undefined
}
