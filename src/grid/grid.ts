// A grid divides the line of a key into cells, each to become a partition.

export { cellsBetween, floor, next } from './bounds.ts'
export type { Cell, Grid, IdGrid, TimeGrid } from './bounds.ts'
export { inferGrid } from './infer.ts'
export { minus, plus } from './shift.ts'
export { validateTimezone } from './timezone.ts'
