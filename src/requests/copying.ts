import { archiveOptions, archiveRequest, checkArchiveOrNot } from './archive-options.ts'
import { KEEP_JOURNAL } from './keep-journal.ts'
import { option, withDefault, type Option, type Options, type Values } from './option.ts'
import type { Given } from './spec.ts'
import type { Jobs } from '../plan/copy/work.ts'
import { bytes, interval, oneOf, whole } from './parsers.ts'

const MOST_JOBS = 32

function jobs(value: unknown): Jobs {
  return value === 'auto' ? value : whole(1, MOST_JOBS)(value)
}

/** Not part of a request: by the time a run is resumed it has changed. */
export const DISK_FREE = {
  diskFree: option(
    '--disk-free <size>',
    'free disk space on the server: "50 GB"; a copy that would not fit is not started',
    bytes,
  ),
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

/** Their part of a request. */
export function copyRequest(values: Values<typeof COPYING>) {
  const { transport, jobs, noArchive, retireAfter } = values
  const archive = archiveRequest(values)
  return { transport, jobs, noArchive, ...(archive === null ? {} : { archive }), retireAfter }
}

/** Notes what contradicts `--archive`, and that there is nothing to archive where all rows are kept. */
export function checkLeftOut(given: Given<Options & typeof COPYING & { readonly keep: Option }>): void {
  checkArchiveOrNot(given)
  if (given.has('archive') && !given.has('keep'))
    given.refuse('archive', 'no row is left out', `Omit it, or pass ${given.name('keep')}.`)
}
