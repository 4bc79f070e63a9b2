import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

// Pages show what is executed. A comment before a block says how:
//
//   <!-- test: run -->              the block is run in its language (sql, sh, js), and must succeed
//   <!-- test: session -->          the block shows a terminal: lines that begin with `$ ` are run, the
//                                   others are what they print
//   <!-- test: session exit 3 -->   the last command ends with that exit code
//   <!-- test: file path -->        the block is that file, word for word
//   <!-- test: database path -->    no block follows: the SQL file is run first
//   <!-- test: cold -->             no block follows: another database is there as the foreign server `cold`, and its
//                                   address in COLD_URL
//   <!-- test: commands -->         the commands of the table that follows are run; `… ` at the beginning of one
//                                   stands for the one above, without its --execute
//
// All of a page runs in order, in one database. In what is printed `…` stands for anything, alone on
// a line for any lines; figures are not compared.

/** Something on a page that is put to the test. */
export interface Part {
  readonly line: number
  readonly what: 'run' | 'session' | 'file' | 'database' | 'cold' | 'commands'
  /** The rest of the comment: an exit code or a path. */
  readonly detail: string
  readonly language: string
  readonly text: string
}

export const PROJECT = fileURLToPath(new URL('../../', import.meta.url))

/** All pages, by their paths in the project. */
export function pages(): string[] {
  const docs = readdirSync(join(PROJECT, 'docs'), { recursive: true, encoding: 'utf8' })
  return [
    'CONTRIBUTING.md',
    'README.md',
    'SECURITY.md',
    ...docs.filter((path) => path.endsWith('.md')).map((path) => join('docs', path)),
  ].sort()
}

export function readPage(path: string): string {
  return readFileSync(join(PROJECT, path), 'utf8')
}

const COMMENT = /^<!-- test: (run|session|file|database|cold|commands)\s*(.*?) -->$/
const FENCE = /^```(\w*)$/

/** The parts of a page that are put to the test, in order. */
export function partsOf(page: string): Part[] {
  const lines = page.split('\n')
  return lines.flatMap((line, at) => {
    if (line.includes('<!-- test:') && !COMMENT.test(line)) throw new Error(`line ${at + 1} is not understood: ${line}`)
    const [, what, detail = ''] = COMMENT.exec(line) ?? []
    if (what === undefined) return []
    return [{ line: at + 1, what: what as Part['what'], detail, ...followerOf(what, lines, at) }]
  })
}

/** Blocks in a language that could be run, without a word on whether they are. */
export function unmarkedBlocks(page: string): number[] {
  const lines = page.split('\n')
  let inside = false
  return lines.flatMap((line, at) => {
    if (!line.startsWith('```')) return []
    inside = !inside
    const runnable = /^```(sh|sql|js|ts|console)$/.test(line)
    return inside && runnable && !/^<!-- (test|not tested): /.test(lines[at - 1] ?? '') ? [at + 1] : []
  })
}

function followerOf(what: string, lines: readonly string[], comment: number): { language: string; text: string } {
  if (what === 'database' || what === 'cold') return { language: '', text: '' }
  if (what === 'commands') return { language: '', text: tableAfter(lines, comment) }
  return blockAfter(lines, comment)
}

function tableAfter(lines: readonly string[], comment: number): string {
  const table = lines.slice(comment + 1)
  const end = table.findIndex((line) => !line.startsWith('|'))
  return table.slice(0, end < 0 ? table.length : end).join('\n')
}

function blockAfter(lines: readonly string[], comment: number): { language: string; text: string } {
  const [, language] = FENCE.exec(lines[comment + 1] ?? '') ?? []
  const end = lines.indexOf('```', comment + 2)
  if (language === undefined || end < 0) throw new Error(`no block follows the comment in line ${comment + 1}`)
  return { language, text: lines.slice(comment + 2, end).join('\n') }
}

/** The statements of a script, each of which ends with a line; a body in `$$` may hold semicolons. */
export function statementsIn(script: string): string[] {
  const statements: string[] = []
  let current: string[] = []
  for (const line of script.split('\n')) {
    current.push(line)
    const inBody = current.join('\n').split('$$').length % 2 === 0
    if (inBody || !line.endsWith(';')) continue
    statements.push(current.join('\n'))
    current = []
  }
  if (current.join('').trim() !== '') throw new Error(`no semicolon ends ${current.join('\n')}`)
  return statements
}

/** One command of a terminal session and what it is said to print. */
export interface Typed {
  readonly command: string
  readonly printed: string
}

/** A command goes on in lines that begin with `> `. */
export function typedIn(session: string): Typed[] {
  const typed: { command: string; printed: string[] }[] = []
  for (const line of session.split('\n')) {
    const last = typed.at(-1)
    if (line.startsWith('$ ')) typed.push({ command: line.slice(2), printed: [] })
    else if (last === undefined) throw new Error(`a session begins with a command, not with: ${line}`)
    else if (line.startsWith('> ') && last.printed.length === 0) last.command += `\n${line.slice(2)}`
    else last.printed.push(line)
  }
  return typed.map(({ command, printed }) => ({ command, printed: printed.join('\n') }))
}

/** The commands in the second column of a table, whole. */
export function commandsIn(table: string): string[] {
  let above = ''
  return table.split('\n').flatMap((row) => {
    const [, , cell = ''] = row.split('|')
    return [...cell.matchAll(/`((?:ebb|…) [^`]*)`/g)].map(([, command = '']) => {
      if (command.startsWith('… ')) return above + command.slice(1)
      above = command.replace(/ --execute$/, '')
      return command
    })
  })
}

/** Whether a program has printed what the page says. */
export function isAsShown(printed: string, shown: string): boolean {
  const lines = withoutFigures(shown.trim()).split('\n')
  const pattern = lines.map((line) => (line.trim() === '…' ? '(?:.*\n)*?' : `${escaped(line.trimEnd())}\n`)).join('')
  return new RegExp(`^${pattern}$`).test(`${withoutFigures(printed.trim())}\n`)
}

/** Figures differ from run to run, and so does the room that columns take for them. */
function withoutFigures(text: string): string {
  return text
    .replace(/\d[\d.,:_]*(?:\s?(?:ms|s|min|h|days|B|kB|MB|GB)\b)?/g, '#')
    .replace(/ *(?:#|MINVALUE)(?: +#)*/g, (run) => run.replace(/ +/g, ' '))
    .replace(/ {2,}/g, '  ')
    .replace(/[ \t]+$/gm, '')
}

function escaped(line: string): string {
  return line
    .split('…')
    .map((piece) => piece.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*')
}

/** Links to files of the project, as paths in it. */
export function linksOf(path: string, page: string): string[] {
  const targets = [...page.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
  const own = targets.filter((target) => !/^(https?:|#|mailto:)/.test(target))
  return own.map((target) => relative(PROJECT, join(PROJECT, path, '..', target.replace(/#.*$/, ''))))
}

/** Links within the page, or to a section of another one of the project, that lead nowhere. */
export function lostAnchors(path: string, page: string): string[] {
  const targets = [...page.matchAll(/\]\(([^)\s:]*)#([^)\s]+)\)/g)]
  return targets.flatMap(([, file = '', anchor = '']) => {
    const other = file === '' ? path : relative(PROJECT, join(PROJECT, path, '..', file))
    if (!other.endsWith('.md') || anchorsOf(other === path ? page : readPage(other)).has(anchor)) return []
    return [`${file}#${anchor}`]
  })
}

/** As GitHub makes them of headings. */
function anchorsOf(page: string): Set<string> {
  const prose = page.replace(/^```[^]*?^```$/gm, '')
  return new Set(
    [...prose.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
      title
        .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}
