// How much room text takes on a terminal.

/** Characters that take two columns; where terminals differ, those that may. */
const WIDE =
  /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Bopomofo}\p{Script=Yi}\p{Emoji_Presentation}\u{1f000}-\u{1faff}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u

/** The longest start of a line that takes at most so many columns. What combines with a character counts as one itself. */
export function cutToWidth(line: string, columns: number): string {
  let taken = 0
  let kept = ''
  for (const character of line) {
    taken += WIDE.test(character) ? 2 : 1
    if (taken > columns) break
    kept += character
  }
  return kept
}
