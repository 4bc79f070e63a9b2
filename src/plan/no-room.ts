import type { Objection } from './step.ts'
import { showBytes } from './units.ts'

/** A copy stands beside what it is made from, and a disk that is full stops everybody. */
export function noRoom(needed: number, free: number): Objection {
  return {
    code: 'disk',
    what: `the copy may need ${showBytes(needed)} of disk, WAL not counted, and ${showBytes(free)} are free`,
    wayOut: 'Make room first, keep fewer rows, or take partitions by attaching, which copies nothing.',
    acceptable: false,
  }
}
