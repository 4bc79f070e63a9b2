import type { Objection } from '../language/step.ts'
import { showBytes } from '../../text/units.ts'

/** A copy needs space beside its source, and a full disk stops the whole server. */
export function notEnoughDisk(needed: number, free: number): Objection {
  return {
    code: 'disk',
    what: `the copy may need ${showBytes(needed)} of disk, WAL not counted, and ${showBytes(free)} are free`,
    fix: 'Make room first, keep fewer rows, or take partitions by attaching, which copies nothing.',
    acceptable: false,
  }
}
