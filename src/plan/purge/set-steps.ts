import type { ServerModel } from '../../catalog/server-model.ts'
import type { ConditionSettings } from '../../sql/condition-settings.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { ident, join, raw, sql } from '../../sql/sql.ts'
import { BLOCK_READ_SECONDS } from '../advise/rates.ts'
import { objection } from '../language/objection.ts'
import type { Objection, OnlineStep, PurgeStep, Step } from '../language/step.ts'
import { showCount, showDuration } from '../../text/units.ts'
import { SET_COLUMNS } from './candidate-sql.ts'
import type { KeyWalkColumn, PurgeWork } from './work.ts'

// The steps that record the keys of rows in a table.

/** The candidate set to create. */
export interface PlannedSet {
  readonly place: TableName
  readonly key: readonly KeyWalkColumn[]
  readonly leaves: readonly TableName[]
  readonly settings: ConditionSettings
  readonly condition: string
}

export function journalCreate(schema: string, { role }: ServerModel): Objection {
  return objection(
    'journal-create',
    `${role} may not make a table in schema ${schema}, where the keys are kept`,
    `As its owner: grant create on schema ${ident(schema).text} to ${ident(role).text};`,
  )
}

/** The key of the step that records keys. */
export const RECORDING = 'record'

export function createSet(table: TableName, { place, key }: Pick<PlannedSet, 'place' | 'key'>): OnlineStep {
  const { leaf, fingerprint, bytes } = SET_COLUMNS
  const names = key.map(({ name }) => ident(name))
  const columns = join(
    names.map((name) => sql`, t.${name}`),
    '',
  )
  const identity = join([ident(leaf), ...names])
  const [number, hash, size] = [leaf, fingerprint, bytes].map((name) => ident(name))
  return {
    kind: 'online',
    key: 'set',
    title: `create ${display(place)}`,
    because: 'stores the keys, in key order',
    locks: [{ table, mode: 'ACCESS SHARE', blocks: 'nothing', held: 'milliseconds' }],
    cost: 'milliseconds',
    statements: [
      sql`create table ${quoted(place)} as select 0 as ${number ?? raw('')}${columns}, 0::bigint as ${hash ?? raw('')}, 0 as ${size ?? raw('')} from only ${quoted(table)} t with no data`
        .text,
      sql`alter table ${quoted(place)} add primary key (${identity})`.text,
    ],
  }
}

export function recordStep(work: PurgeWork): PurgeStep {
  const blocks = work.leaves.reduce((sum, leaf) => sum + leaf.blocks, 0)
  return {
    kind: 'purge',
    key: RECORDING,
    title: `record the keys of matching rows of ${display(work.table)}`,
    because:
      'range by range, each under its own snapshot and journalled with its rows, so that a crash loses one range',
    locks: [{ table: work.table, mode: 'ACCESS SHARE', blocks: 'nothing', held: 'milliseconds' }],
    cost: `reads at most ${showCount(blocks)} blocks, about ${showDuration(blocks * BLOCK_READ_SECONDS)} plus pauses`,
    statements: [],
    work,
  }
}

export function settleStep(place: TableName): Step {
  return {
    kind: 'alone',
    key: 'settle',
    title: `analyze and count ${display(place)}`,
    because: 'the purge walks it',
    locks: [],
    cost: 'reads a sample',
    statements: [sql`analyze ${quoted(place)}`.text],
  }
}
