// Comments in a script.

const USUAL_WIDTH = 116

/**
 * A comment with any text: names may contain line breaks, after which the rest would be SQL, or look like another
 * comment. So they are escaped, like all control characters.
 */
export function comment(text: string, indent = '', width = USUAL_WIDTH): string[] {
  return inComment(wrap(text, width - indent.length), indent)
}

/** The same with SQL in it, which can be copied: no line breaks within quotes. */
export function commentWithSql(text: string, indent: string): string[] {
  return inComment(joined(oneLine(text).match(/(?:"[^"]*"|'[^']*'|[^ ])+/g) ?? [], USUAL_WIDTH - indent.length), indent)
}

function inComment(lines: readonly string[], indent: string): string[] {
  return lines.map((line, i) => `-- ${indent}${i === 0 ? '' : '  '}${line}`)
}

/** Breaks text at spaces so that no line is longer than `width`, unless a word is. Line breaks in it are escaped. */
export function wrap(text: string, width: number): string[] {
  return joined(oneLine(text).split(' '), width)
}

function joined(words: readonly string[], width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of words) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

// Control characters, bidirectional overrides and unusual line separators.
const TRICKS = String.raw`\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069`
const TRICK = new RegExp(`[${TRICKS}]`, 'g')
const TRICK_OR_BREAK = new RegExp(`[${TRICKS}\\n\\t]`, 'g')

/**
 * Escapes characters that could hide or fake text on a terminal. A table's name may contain any. Line breaks and tabs
 * are kept.
 */
export function harmless(text: string): string {
  return text.replace(TRICK, (character) => visible(character.charCodeAt(0)))
}

/** The same for a single line: a name with a line break must not start another. */
export function oneLine(text: string): string {
  return spellOut(text)
}

/** Escapes each such character, including line breaks and tabs, by `spell`. */
export function spellOut(text: string, spell = visible): string {
  return text.replace(TRICK_OR_BREAK, (character) => spell(character.charCodeAt(0)))
}

/** Whether there are no such characters. */
export function isPlain(text: string): boolean {
  return text.search(TRICK_OR_BREAK) === -1
}

function visible(code: number): string {
  return code > 0xff ? `\\u${code.toString(16).padStart(4, '0')}` : `\\x${code.toString(16).padStart(2, '0')}`
}

/** Lines as text; line breaks within a line are escaped. */
export function toText(lines: readonly string[]): string {
  return `${lines.map(oneLine).join('\n')}\n`
}
