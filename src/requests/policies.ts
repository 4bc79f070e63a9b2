import { COMMON, EXECUTE, TABLE } from './common.ts'
import { spec } from './spec.ts'

/** Of a program that puts one policy in force. */
export const APPLY_POLICY = spec({
  options: { table: TABLE, ...EXECUTE, ...COMMON },
  request: ({ table }) => table,
})
