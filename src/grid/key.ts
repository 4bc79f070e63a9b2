// Values of a key map to integers. Input and output are text only: a JavaScript number would lose microseconds.

export { isTimeKind } from './key-kind.ts'
export type { EpochKind, KeyKind, Position, TimeKind } from './key-kind.ts'
export { epochUnitOf, instantAt, positionOf } from './key-clock.ts'
export { displayPosition } from './key-display.ts'
export { fromText, toText } from './key-text.ts'
