import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, test } from 'vitest'
import { PROJECT, readPage } from './pages.ts'

// What docs/map.md draws: who may import whom.

/** From the bottom up: a file imports from its own folder and from those before it. */
const FOLDERS = [
  'errors.ts',
  'package.ts',
  'text',
  'sql',
  'grid',
  'db',
  'catalog',
  'plan',
  'journal',
  'pacing',
  'archive',
  'engine',
  'report',
  'requests',
  'policy',
  'library',
  'migrate',
  'embedded',
  'cli',
  'index.ts',
  'demo',
]

/** What never touches a connection. */
const PURE = ['text', 'sql', 'grid', 'plan']

const SOURCE = join(PROJECT, 'src')
const FILES = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'))

describe('the map of the source', () => {
  test('lists every folder', () => {
    const page = readPage('docs/map.md')
    const folders = readdirSync(SOURCE, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    // Each on a line of its own: a formatter that fills lines would leave all words and no drawing.
    const drawn = page.split('\n').flatMap((line) => line.match(/^[ │]*(\w+)\/ (?: *(\w+)\/ )?/)?.slice(1) ?? [])
    expect(folders.map(({ name }) => name).filter((name) => !drawn.includes(name))).toEqual([])
    expect(folders.map(({ name }) => name).filter((name) => !FOLDERS.includes(name))).toEqual([])
  })

  test('names existing files', () => {
    const named = [...readPage('docs/map.md').matchAll(/`((?:\w[\w-]*\/)+[\w-]+\.ts)`/g)].map(([, path]) => path ?? '')
    expect(named.length).toBeGreaterThan(20)
    expect(named.filter((path) => !existsSync(join(SOURCE, path)))).toEqual([])
  })

  test('has all imports pointing down', () => {
    const upwards = imports().filter(({ from, to }) => levelOf(to) > levelOf(from))
    expect(upwards.map(({ from, to }) => `${from} → ${to}`)).toEqual([])
  })

  test('has no import cycles, type imports included', () => {
    const all = imports()
    const left = new Set(FILES)
    // Who imports nothing that is left can be in no circle.
    for (let free = 1; free > 0;) {
      const ready = [...left].filter((file) => !all.some(({ from, to }) => from === file && left.has(to)))
      for (const file of ready) left.delete(file)
      free = ready.length
    }
    expect([...left]).toEqual([])
  })

  test('loads a command when it is asked for, not when the program starts', () => {
    const started = reachable('cli/run.ts', imports('values'))
    expect(started.length).toBeGreaterThan(5)
    const ofCommands = ['catalog', 'plan', 'journal', 'pacing', 'archive', 'engine', 'requests', 'library']
    expect(started.filter((path) => ofCommands.includes(folderOf(path)))).toEqual([])
  })

  test('restricts exit codes to the command line', () => {
    const below = FILES.filter((path) => levelOf(path) < FOLDERS.indexOf('cli'))
    expect(below.filter((path) => /\bEXIT\b|exit-codes.ts'/.test(textOf(path)))).toEqual([])
  })

  test('keeps pure folders free of connections', () => {
    const touching = imports().filter(({ from, to }) => PURE.includes(folderOf(from)) && folderOf(to) === 'db')
    expect(touching).toEqual([])
  })

  test('restricts process access to the command line', () => {
    const below = FILES.filter((path) => levelOf(path) < FOLDERS.indexOf('cli'))
    const used = below.filter((path) => /\bconsole\.|\bprocess\.(?:env|exit)\b/.test(textOf(path)))
    expect(used).toEqual([])
  })
})

interface Import {
  readonly from: string
  readonly to: string
}

/** Commands import what they start only when they do, and that is not counted: `ebb demo` types through the commands. */
function imports(of: 'all' | 'values' = 'all'): Import[] {
  const statement =
    of === 'all'
      ? /^(?:import|export) [^']*? from '(\.[^']+)'/gm
      : /^(?:import|export) (?!type )[^']*? from '(\.[^']+)'/gm
  return FILES.flatMap((from) =>
    [...textOf(from).matchAll(statement)].map(([, path]) => ({
      from,
      to: normalize(join(dirname(from), path ?? '')),
    })),
  )
}

function reachable(start: string, all: readonly Import[]): string[] {
  const found = new Set([start])
  for (const file of found) for (const { from, to } of all) if (from === file) found.add(to)
  return [...found]
}

function levelOf(path: string): number {
  // What happens is told with the pace that it has, and the pace is told as what happens.
  const level = FOLDERS.indexOf(path === 'events.ts' ? 'pacing' : folderOf(path))
  if (level === -1) throw new Error(`${path} has no place on the map`)
  return level
}

function folderOf(path: string): string {
  return path.split('/')[0] ?? ''
}

function textOf(path: string): string {
  return readFileSync(join(SOURCE, path), 'utf8')
}
