import type { Target } from '../db/session.ts'
import { resolveName } from '../engine/commands/inspect.ts'
import type { RunChoice } from '../engine/runs/find-run.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { COMMON, DATABASE, LOCKS, AT_END } from './common.ts'
import { METRICS_PORT } from './metrics-port.ts'
import { flag, option } from './option.ts'
import { PACE } from './pace.ts'
import { spec } from './spec.ts'
import { run } from './parsers.ts'

const EXECUTE = { execute: flag('--execute', 'execute it; without this the plan is only shown') }
const RUN = option('[run]', 'its number, or its table (default: the only one)', run)

/** Of `ebb rollback`. */
export const ROLLBACK = spec({ options: { run: RUN, ...EXECUTE, ...LOCKS, ...COMMON }, request: chosen })

export const RESUME = spec({ options: { ...ROLLBACK.options, ...PACE }, request: chosen })

export const ABANDON = spec({
  options: {
    run: RUN,
    leftovers: flag(
      '--leftovers',
      'instead, remove change captures, bounds and helper indexes that belong to no run in the journal; see ebb status',
      { property: null },
    ),
    ...EXECUTE,
    ...LOCKS,
    ...DATABASE,
  },
  check(given) {
    if (given.has('run') && given.has('leftovers'))
      given.refuse('run', `cannot be used with ${given.spell('leftovers')}`, 'Name a run, or remove what is of no run.')
  },
  request: chosen,
})

export const RETIRE = spec({
  options: {
    run: { ...RUN, help: 'its number, or its table' },
    all: flag('--all', 'all retired tables; ebb status lists them', { property: null }),
    noArchive: flag('--no-archive', 'drop the rows left out without archiving them, even if an archive was requested'),
    ...EXECUTE,
    ...LOCKS,
    ...AT_END,
    ...METRICS_PORT,
    ...DATABASE,
  },
  // What cannot be undone is not the default.
  check(given) {
    const next = `Name a run${given.offers('all') ? ', or pass --all' : ''}. See ebb status.`
    if (given.has('run') && given.has('all')) given.refuse('run', 'cannot be used with --all', next)
    if (!given.has('run') && !given.has('all')) given.refuse('run', 'no run is named', next)
  },
  request: chosen,
})

/** As it was named: by a number, by its table, or not at all. */
export type NamedRun = { readonly runId: string } | WrittenName | null

function chosen({ run }: { readonly run: NamedRun }): NamedRun {
  return run
}

/** The run that is meant, by the table that its name leads to. */
export async function resolveRun(target: Target, written: NamedRun): Promise<RunChoice> {
  return written === null || 'runId' in written ? written : { table: await resolveName(target, written) }
}
