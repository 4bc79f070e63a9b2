/** The keys that lead to a part of a config. */
export type Path = readonly (string | number)[]

/** Where something stands in a text; both count from one. */
export interface Place {
  readonly line: number
  readonly column: number
}

export function placeOfIndex(text: string, index: number): Place {
  const before = text.slice(0, index).split('\n')
  return { line: before.length, column: (before.at(-1) ?? '').length + 1 }
}
