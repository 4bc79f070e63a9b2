import type { Position } from '../../grid/key.ts'

/** Where something lies in a chart, in per cent of its width. */
export interface Place {
  readonly left: number
  readonly width: number
}

/** Places positions on a line. What goes beyond it is cut. */
export class Scale {
  readonly from: Position
  readonly to: Position

  constructor(from: Position, to: Position) {
    this.from = from
    this.to = to > from ? to : from + 1n
  }

  at(position: Position): number {
    const share = Number(((position - this.from) * 1_000_000n) / (this.to - this.from)) / 10_000
    return Math.min(100, Math.max(0, share))
  }

  /** Null is without an end. Null where nothing of it is on the line. */
  place(from: Position | null, to: Position | null): Place | null {
    if ((from !== null && from >= this.to) || (to !== null && to <= this.from)) return null
    const left = from === null ? 0 : this.at(from)
    return { left, width: (to === null ? 100 : this.at(to)) - left }
  }
}

export function percent(value: number): string {
  return `${Number(value.toFixed(2))}%`
}
