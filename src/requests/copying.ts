import type { Jobs } from '../plan/copy/work.ts'
import { archiveOptions, archiveRequest, checkArchiveOrNot } from './archive-options.ts'
import { AT_END, COMMON, DISK_FREE, EXECUTE, LOCKS } from './common.ts'
import { KEEP_JOURNAL } from './keep-journal.ts'
import { METRICS_PORT } from './metrics-port.ts'
import { option, withDefault, type Option, type Options, type Values } from './option.ts'
import { CHUNK_PACE } from './pace.ts'
import { interval, oneOf, whole } from './parsers.ts'
import { checkPlanFile, PLAN_FILE } from './plan-file.ts'
import type { Given } from './spec.ts'

const MOST_JOBS = 32

function jobs(value: unknown): Jobs {
  return value === 'auto' ? value : whole(1, MOST_JOBS)(value)
}

/** How rows are copied, and what happens to the rows left out. */
export const COPYING = {
  transport: withDefault(
    option(
      '--transport <how>',
      'how rows are copied: copy (COPY streamed through Ebb, less WAL), server (insert … select), or auto, which tries both',
      oneOf('a transport', 'copy', 'server', 'auto'),
    ),
    'auto' as const,
  ),
  jobs: withDefault(
    option(
      '--jobs <n>',
      'sessions that copy and compare in parallel, or auto: one, and a second while nobody else is active (default: auto)',
      jobs,
    ),
    'auto' as const,
  ),
  ...archiveOptions('the rows left out'),
  ...KEEP_JOURNAL,
  ...DISK_FREE,
  retireAfter: option(
    '--retire-after <interval>',
    'have ebb rotate drop the retired table this long after the end: "7 days" (default: ebb retire drops it)',
    interval,
  ),
}

/** The options of a command that copies, beside its own. */
export const COPY_COMMAND = {
  ...COPYING,
  ...CHUNK_PACE,
  ...EXECUTE,
  ...PLAN_FILE,
  ...LOCKS,
  ...AT_END,
  ...METRICS_PORT,
  ...COMMON,
}

/** Their part of a request. */
export function copyRequest(values: Values<typeof COPYING>) {
  const { transport, jobs, noArchive, retireAfter } = values
  const archive = archiveRequest(values)
  return { transport, jobs, noArchive, ...(archive === null ? {} : { archive }), retireAfter }
}

/** Notes what contradicts another option of these, and that there is nothing to archive where all rows are kept. */
export function checkCopying(
  given: Given<Options & typeof COPY_COMMAND & { readonly keep: Option }>,
  executes: boolean,
): void {
  checkPlanFile(given, executes)
  checkArchiveOrNot(given)
  if (given.has('archive') && !given.has('keep'))
    given.refuse('archive', 'no row is left out', `Omit it, or pass ${given.name('keep')}.`)
}
