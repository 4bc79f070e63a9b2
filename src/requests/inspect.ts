import { COMMON, DATABASE, TABLE } from './common.ts'
import { flag } from './option.ts'
import { spec } from './spec.ts'

export const INSPECT = spec({ options: { table: TABLE, ...COMMON }, request: () => ({}) })

export const STATUS = spec({
  options: {
    ...DATABASE,
    exitCode: flag('--exit-code', 'end with 75 where a run is unfinished, or an archive has no receipt yet', {
      property: null,
    }),
  },
  request: ({ exitCode }) => ({ exitCode }),
})
