// Text for people inside a script.

const USUAL_WIDTH = 116

/**
 * A comment, wherever its text comes from: names may hold line breaks, and what follows one would be SQL, or look like
 * another comment. So they are spelled out, with whatever else could play tricks on a terminal.
 */
export function comment(text: string, indent = '', width = USUAL_WIDTH): string[] {
  const lines = wrap(text, width - indent.length)
  return lines.map((line, i) => `-- ${indent}${i === 0 ? '' : '  '}${line}`)
}

/** Breaks text at spaces so that no line is longer than `width`, unless a word is. A break that is in it is spelled out. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of oneLine(text).split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

// Control characters, and those that turn the direction of writing or end a line where no one looks for it.
const TRICKS = String.raw`\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069`
const TRICK = new RegExp(`[${TRICKS}]`, 'g')
const TRICK_OR_BREAK = new RegExp(`[${TRICKS}\\n\\t]`, 'g')

/**
 * Makes characters visible that could play tricks: on a terminal they could hide
 * the rest of a line or pretend to be another. A table's name may hold any. Line
 * breaks and tabs stay, for where lines are meant.
 */
export function harmless(text: string): string {
  return text.replace(TRICK, (character) => visible(character.charCodeAt(0)))
}

/** The same where one line is meant: a name with a break in it must not begin another. */
export function oneLine(text: string): string {
  return spellOut(text)
}

/** Each such character, breaks and tabs among them, as `spell` writes it. */
export function spellOut(text: string, spell = visible): string {
  return text.replace(TRICK_OR_BREAK, (character) => spell(character.charCodeAt(0)))
}

/** Whether there is no such character. */
export function isPlain(text: string): boolean {
  return text.search(TRICK_OR_BREAK) === -1
}

function visible(code: number): string {
  return code > 0xff ? `\\u${code.toString(16).padStart(4, '0')}` : `\\x${code.toString(16).padStart(2, '0')}`
}

/** Lines as text; what is in one stays in it. */
export function toText(lines: readonly string[]): string {
  return `${lines.map(oneLine).join('\n')}\n`
}
