import type { RebuildRequest } from '../plan/copy/rebuild.ts'
import { TABLE } from './common.ts'
import { checkCopying, COPY_COMMAND, copyRequest } from './copying.ts'
import { flag, option } from './option.ts'
import { spec } from './spec.ts'
import { condition } from './parsers.ts'

export const REBUILD = spec({
  options: {
    table: TABLE,
    keep: option(
      '--keep <condition>',
      'the rows to keep, as after WHERE: "created_at > now() - interval \'90 days\'"; now() is fixed once, at the start',
      condition,
    ),
    keepAll: flag('--keep-all', 'keep every row: frees the space of dead rows', { property: 'keep', means: null }),
    ...COPY_COMMAND,
  },
  // Keeping everything is passed explicitly, and so is a condition: neither is the default.
  check(given, { execute }) {
    const either = `Pass ${given.spell('keep', "created_at > now() - interval '90 days'")} or ${given.spell('keepAll')}.`
    if (!given.has('keepAll')) given.require('keep', either)
    else if (given.has('keep')) given.refuse('keep', `it cannot be combined with ${given.name('keepAll')}`, either)
    checkCopying(given, execute === true)
  },
  request: ({ keep, ...copying }): RebuildRequest => ({ keep, ...copyRequest(copying) }),
})
