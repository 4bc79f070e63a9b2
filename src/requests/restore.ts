import type { RestoreOrder } from '../engine/restore/restoring.ts'
import { cwd } from 'node:process'
import { objectUri, parseObjectUri } from '../plan/archive/destination.ts'
import { ON_CONFLICT } from '../plan/restore/situation.ts'
import { IDENTITIES } from './archives.ts'
import { COMMON, EXECUTE, LOCKS } from './common.ts'
import { defaulted, flag, option, required } from './option.ts'
import { PLAN_FILE, checkPlanFile } from './plan-file.ts'
import { condition, intervalOrNone, oneOf, tableName, text } from './parsers.ts'
import { spec } from './spec.ts'

/** Of `ebb restore`. */
export const RESTORE = spec({
  options: {
    receipt: required('<receipt>', 'the address of a receipt: s3://audit/events/…/receipt.json, or a file', receiptUri),
    table: option('--table <table>', 'which of its tables, if it has several (default: all)', tableName),
    into: option(
      '--into <table>',
      'the table for the rows, which is created if there is none (default: the table that they were in)',
      tableName,
    ),
    where: option('--where <condition>', 'only rows for which this is true, as after WHERE', condition),
    onConflict: defaulted(
      '--on-conflict <what>',
      'what becomes of a row that the table has with other values: keep it, or overwrite it',
      oneOf('a way to treat such a row', ...ON_CONFLICT),
      'keep',
    ),
    attach: flag('--attach', 'recreate the partition that the rows were in, if it no longer exists'),
    hold: defaulted(
      '--hold <interval>',
      'for how long no command removes the rows again, or none',
      intervalOrNone,
      '30 days',
    ),
    identityFile: { ...IDENTITIES.identityFile, property: 'identityFiles' },
    ...EXECUTE,
    ...PLAN_FILE,
    ...LOCKS,
    ...COMMON,
  },
  check(given, { execute }) {
    checkPlanFile(given, execute === true)
    if (given.has('attach') && given.has('into'))
      given.refuse('attach', `cannot be used with ${given.name('into')}`, 'Omit one of them.')
  },
  request: ({ receipt, table, into, where, onConflict, attach, hold, accept }): RestoreOrder => ({
    receipt,
    table,
    into,
    where,
    onConflict,
    attach,
    hold,
    accept,
  }),
})

function receiptUri(value: unknown): string {
  const { destination, name } = parseObjectUri(text(value), cwd())
  return objectUri(destination, name)
}
