import type { MarkRequest } from '../plan/purge/mark.ts'
import { BATCHES, COMMON, EXECUTE, TABLE } from './common.ts'
import { required } from './option.ts'
import { PACE } from './pace.ts'
import { PLAN_FILE, checkPlanFile } from './plan-file.ts'
import { spec } from './spec.ts'
import { condition, name } from './parsers.ts'

export const MARK = spec({
  options: {
    table: TABLE,
    where: required(
      '--where <condition>',
      'the rows to mark, as after WHERE; now() is fixed once, at the start',
      condition,
      { example: ["status = 'void'", 'which rows to mark'] },
    ),
    set: required(
      '--set <column>',
      'a boolean becomes true; a timestamp or date that is NULL becomes the start time',
      name,
      { property: 'column', example: ['deleted_at', 'the column of the mark'] },
    ),
    ...BATCHES,
    ...EXECUTE,
    ...PLAN_FILE,
    ...PACE,
    ...COMMON,
  },
  check: (given, { execute }) => checkPlanFile(given, execute === true),
  request: ({ where, set: column, allRows, noVacuum }): MarkRequest => ({
    rows: { kind: 'matching', where },
    column,
    allRows,
    vacuum: !noVacuum,
  }),
})
