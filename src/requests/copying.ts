import { flag, option, withDefault, type Options, type Values } from './option.ts'
import type { Given } from './spec.ts'
import { bytes, interval, oneOf, text, whole } from './parsers.ts'

const MOST_JOBS = 32

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
  jobs: withDefault(option('--jobs <n>', 'chunks copied in parallel (default: 1)', whole(1, MOST_JOBS)), 1),
  ...archive('archive the rows left out there first', 'remove the rows left out without archiving them'),
  ...DISK_FREE,
  retireAfter: option(
    '--retire-after <interval>',
    'have ebb rotate drop the retired table this long after the end: "7 days" (default: ebb retire drops it)',
    interval,
  ),
}

/** Their part of a request. */
export function copyRequest({ transport, jobs, noArchive, retireAfter }: Values<typeof COPYING>) {
  return { transport, jobs, noArchive, retireAfter }
}

/** Whether rows are archived before they are removed. */
export function archive(help: string, without: string) {
  return {
    archive: option('--archive <uri>', `${help} (not yet possible in this version)`, text),
    noArchive: flag('--no-archive', without),
  }
}

/** Notes that this command cannot archive yet; `otherwise` is another way out. */
export function refuseArchive(given: Given<Options & ReturnType<typeof archive>>, otherwise = ''): void {
  if (given.has('archive'))
    given.refuse(
      'archive',
      'this command cannot archive rows yet',
      `Pass ${given.spell('noArchive')} to remove the rows without archiving them${otherwise}.`,
    )
}
