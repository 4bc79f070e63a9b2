import { comment, isPlain, spellOut } from '../text/comment.ts'

// A statement for display: the same for PostgreSQL, without control characters. Names and literals may contain any
// character, including line breaks, after which they could look like the next line of a plan.

/** Comments, literals and quoted identifiers, as PostgreSQL's lexer finds them. */
const TOKEN = new RegExp(
  [
    String.raw`(?<remark>--[^\n]*|/\*[^]*?\*/)`,
    String.raw`(?<dollar>(?<![\w$])\$(?<tag>(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?)\$(?<body>[^]*?)\$\k<tag>\$)`,
    String.raw`(?<escaped>(?<![\w$])[eE]'(?:[^'\\]|\\[^]|'')*')`,
    String.raw`(?<literal>'(?:[^']|'')*')`,
    String.raw`(?<name>(?<![uU]&)"(?:[^"]|"")*")`,
  ].join('|'),
  'g',
)

/** The statement with such characters escaped in its names and literals. */
export function spelledOut(statement: string): string {
  return statement.replace(TOKEN, (token, ...rest) => rewritten(token, rest.at(-1) as Groups))
}

/** The statement as a comment, line by line. */
export function statementComment(statement: string, indent: string): string[] {
  return spelledOut(statement)
    .split('\n')
    .flatMap((line) => comment(line, indent))
}

type Groups = Readonly<Record<'remark' | 'dollar' | 'body' | 'escaped' | 'literal' | 'name', string | undefined>>

function rewritten(token: string, { remark, body, escaped, literal, name }: Groups): string {
  if (remark !== undefined) return spellOut(token, remark.startsWith('--') ? undefined : keepLines)
  if (body !== undefined) return breaksOut(body) ? escapedLiteral(body) : token
  if (isPlain(token)) return token
  if (name !== undefined) return `U&${spellOut(token.replaceAll('\\', '\\\\'), (code) => `\\${hex(code)}`)}`
  if (escaped !== undefined) return spellOut(token, (code) => `\\u${hex(code)}`)
  return literal === undefined ? token : escapedLiteral(token.slice(1, -1).replaceAll("''", "'"))
}

// The body of a function has line breaks, maybe those of Windows.
function breaksOut(body: string): boolean {
  if (!isPlain(body.replaceAll(/\r?\n|\t/g, ' '))) return true
  return [...body.matchAll(TOKEN)].some(({ groups }) => groups?.name !== undefined && !isPlain(groups.name))
}

// The space separates it from a preceding token.
function escapedLiteral(value: string): string {
  const quoted = value.replaceAll('\\', '\\\\').replaceAll("'", "''")
  return ` E'${spellOut(quoted, (code) => `\\u${hex(code)}`)}'`
}

function keepLines(code: number): string {
  return code === 0x0a ? '\n' : `\\u${hex(code)}`
}

function hex(code: number): string {
  return code.toString(16).padStart(4, '0')
}
