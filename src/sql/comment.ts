// Text for people inside a script.

const USUAL_WIDTH = 116

/**
 * A comment, wherever its text comes from: names may hold line breaks, and
 * what follows one would be SQL. So every line begins anew with `--`, and
 * characters that could play tricks on a terminal are spelled out.
 */
export function comment(text: string, indent = '', width = USUAL_WIDTH): string[] {
  const lines = wrap(text, width - indent.length)
  return lines.map((line, i) => `-- ${indent}${i === 0 ? '' : '  '}${harmless(line)}`)
}

/** Breaks text at spaces so that no line is longer than `width`, unless a word is. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const paragraph of text.split(/\r\n|\r|\n/)) {
    let line = ''
    for (const word of paragraph.split(' ')) {
      if (line !== '' && line.length + 1 + word.length > width) {
        lines.push(line)
        line = word
      } else line = line === '' ? word : `${line} ${word}`
    }
    lines.push(line)
  }
  return lines
}

// eslint-disable-next-line no-control-regex -- control characters are what this is about
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/**
 * Makes control characters visible, those that turn the direction of writing
 * among them. A table's name may hold any: on a terminal they could hide the
 * rest of a line or pretend to be another.
 */
export function harmless(text: string): string {
  return text.replace(CONTROL, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

export function toText(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`
}
