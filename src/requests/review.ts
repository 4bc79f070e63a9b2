import { COMMON } from './common.ts'
import { flag, option, withDefault, required, commandLineOnly } from './option.ts'
import { spec } from './spec.ts'
import { setNumber, text, whole } from './parsers.ts'

const MOST_SAMPLED = 10_000

/** What is shown of a candidate set. */
export const LOOKING = commandLineOnly({
  sample: option(
    '--sample <n>',
    'print this many random rows of a candidate set, as they are now',
    whole(1, MOST_SAMPLED),
  ),
  export: option('--export <file>', 'write the keys of a candidate set to a file, as CSV', text),
})

/** Who approves a deletion. */
export const APPROVAL = {
  approvedBy: option('--approved-by <who>', 'record who approved the deletion', text),
  ticket: option('--ticket <id>', 'record the ticket of the approval', text),
}

/** Of `ebb candidates`. */
export const REVIEW = spec({
  options: {
    set: option('[set]', 'the number of a set', setNumber),
    drop: flag('--drop', 'drop the set; its rows are kept', { property: null }),
    execute: flag('--execute', 'record the approval, or drop the set; without this nothing is changed'),
    ...LOOKING,
    ...APPROVAL,
    ...COMMON,
  },
  check(given) {
    for (const key of ['drop', 'sample', 'export', 'approvedBy', 'ticket'] as const) given.needs(key, 'set')
    if (given.has('drop'))
      for (const key of ['approvedBy', 'ticket'] as const)
        if (given.has(key)) given.refuse(key, `cannot be used with ${given.name('drop')}`, 'Pass one of them.')
  },
  request: ({ sample, export: file, approvedBy, ticket }) => ({ sample, export: file, approvedBy, ticket }),
})

/** Of the calls that work on one set. */
export const ONE_SET = spec({
  options: {
    set: required('<set>', 'the number of a set', setNumber),
    rows: withDefault(option('<rows>', 'how many rows are shown', whole(1, MOST_SAMPLED)), 1),
    ...APPROVAL,
    ...COMMON,
  },
  request: ({ set }) => set,
})
