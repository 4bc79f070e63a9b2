import { eastAsianWidth } from 'get-east-asian-width'

/** The longest start of a line that takes at most so many columns of a terminal. What combines with a character counts as one itself. */
export function cutToWidth(line: string, columns: number): string {
  let taken = 0
  let kept = ''
  for (const character of line) {
    taken += eastAsianWidth(character.codePointAt(0) ?? 0)
    if (taken > columns) break
    kept += character
  }
  return kept
}
