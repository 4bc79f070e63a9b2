// A key's values lie on a line of whole numbers. Only text goes in and comes
// out: on the way through a number of JavaScript microseconds would be lost.

export { isTimeKind } from './key-kind.ts'
export type { EpochKind, KeyKind, Position, TimeKind } from './key-kind.ts'
export { epochUnitOf, positionOf } from './key-clock.ts'
export { displayPosition } from './key-display.ts'
export { fromText, toText } from './key-text.ts'
