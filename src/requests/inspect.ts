import { COMMON, DATABASE, TABLE } from './common.ts'
import { spec } from './spec.ts'

export const INSPECT = spec({ options: { table: TABLE, ...COMMON }, request: ({ table }) => table })

export const STATUS = spec({ options: DATABASE, request: () => null })
