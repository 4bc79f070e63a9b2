import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test as plainTest } from 'vitest'
import { test, type Database } from '../support/database.ts'
import { once } from '../support/template.ts'
import {
  commandsIn,
  isAsShown,
  linksOf,
  lostAnchors,
  pages,
  partsOf,
  PROJECT,
  readPage,
  statementsIn,
  typedIn,
  unmarkedBlocks,
  type Part,
} from './pages.ts'
import { Shell } from './shell.ts'

const BUILT = join(PROJECT, 'dist', 'cli.js')

describe('examples of the documentation match the actual output', () => {
  test.for(pages().filter((path) => partsOf(readPage(path)).length > 0))('%s', async (path, { database }) => {
    if (!existsSync(BUILT)) throw new Error('the pages use the built command: npm run build')
    const shell = await Shell.open(database.url)
    try {
      for (const part of partsOf(readPage(path))) await tryOut(part, `${path}:${part.line}`, shell, database)
    } finally {
      await shell.close()
      await forgetPrepared(database)
      await once(database.adminUrl, (client) =>
        client.query(`drop database if exists ${database.name}_cold with (force)`),
      )
    }
  })
})

describe('on every page', () => {
  plainTest.for(pages())('%s: links lead somewhere, and no block is forgotten', (path) => {
    const page = readPage(path)
    expect(linksOf(path, page).filter((target) => !existsSync(join(PROJECT, target)))).toEqual([])
    expect(lostAnchors(path, page), 'links to sections that are not there').toEqual([])
    expect(unmarkedBlocks(page), 'lines of blocks without a word on whether they are tested').toEqual([])
  })
})

describe('an incorrect page', () => {
  plainTest.for([
    ['printed something else', 'done in 3 s', 'failed in 3 s', false],
    ['printed another figure', 'done in 3 s', 'done in 412 ms', true],
    ['printed more than is shown', 'one', 'one\ntwo', false],
    ['printed more where that is said', 'one\n…\nfour', 'one\ntwo\nthree\nfour', true],
    ['printed less than is shown', 'one\n…\nfour', 'one\ntwo', false],
    ['printed another name', 'partition events_… gone', 'partition events_2026_01 gone', true],
  ] as const)('%s', ([, shown, printed, alike]) => {
    expect(isAsShown(printed, shown)).toBe(alike)
  })

  plainTest('has a table of commands', () => {
    const table =
      '| need | command | page |\n|---|---|---|\n| a | `ebb a --execute` or `… --b` | `ebb c` |\n| d | nothing |'
    expect(commandsIn(table)).toEqual(['ebb a --execute', 'ebb a --b'])
  })

  plainTest('has a comment that is not understood', () => {
    expect(() => partsOf('<!-- test: ran -->\n```sh\ntrue\n```')).toThrow('line 1 is not understood')
  })

  plainTest('has a block of which nothing is said', () => {
    expect(unmarkedBlocks('# Title\n\n```sh\nebb inspect events\n```')).toEqual([3])
  })
})

/** A page that failed half way may have left one, and then the database could not be dropped. */
async function forgetPrepared(database: Database): Promise<void> {
  const { rows } = await database.admin<{ gid: string }>(
    'select gid from pg_prepared_xacts where database = current_database()',
  )
  for (const { gid } of rows) await database.admin(`rollback prepared '${gid}'`)
}

async function tryOut(part: Part, place: string, shell: Shell, database: Database): Promise<void> {
  switch (part.what) {
    case 'database':
      return runSql(readFileSync(join(PROJECT, part.detail), 'utf8'), database)
    case 'cold':
      return linkCold(shell, database)
    case 'file':
      return expect(part.text, place).toBe(readFileSync(join(PROJECT, part.detail), 'utf8').trimEnd())
    case 'run':
      return runBlock(part, place, shell, database)
    case 'session':
      return runSession(part, place, shell)
    case 'commands':
      return runCommands(part, place, shell)
  }
}

/** On the same server, so that the page needs no other. */
async function linkCold(shell: Shell, database: Database): Promise<void> {
  const cold = `${database.name}_cold`
  const role = new URL(database.url).username
  await once(database.adminUrl, (client) => client.query(`create database ${cold} owner ${role}`))
  await database.admin(`
    create extension postgres_fdw;
    create server cold foreign data wrapper postgres_fdw options (host '127.0.0.1', port '${new URL(database.url).port}', dbname '${cold}', connect_timeout '10');
    grant usage on foreign server cold to public;
    create user mapping for public server cold options (user '${role}', password_required 'false')`)
  shell.env.COLD_URL = database.url.replace(database.name, cold)
}

async function runBlock({ language, text }: Part, place: string, shell: Shell, database: Database): Promise<void> {
  if (language === 'sql') return runSql(text, database)
  const { printed, code } = await (language === 'js' ? shell.runModule(text) : shell.run(text))
  expect(code, `${place} printed:\n${printed}`).toBe(0)
}

async function runSession({ text, detail }: Part, place: string, shell: Shell): Promise<void> {
  const typed = typedIn(text)
  const lastCode = Number(/^exit (\d+)$/.exec(detail)?.[1] ?? 0)
  for (const [position, { command, printed: shown }] of typed.entries()) {
    const { printed, code } = await shell.run(command)
    expect(code, `${place}: ${command} printed:\n${printed}`).toBe(position === typed.length - 1 ? lastCode : 0)
    if (!isAsShown(printed, shown)) expect(printed, `${place}: ${command}`).toBe(shown)
  }
}

async function runCommands({ text }: Part, place: string, shell: Shell): Promise<void> {
  const commands = commandsIn(text)
  expect(commands.length, `${place} has no commands`).toBeGreaterThan(0)
  for (const command of commands) {
    const { printed, code } = await shell.run(command)
    expect(code, `${place}: ${command} printed:\n${printed}`).toBe(0)
  }
}

async function runSql(text: string, database: Database): Promise<void> {
  const client = await database.session('page')
  // One by one: what is sent together is one transaction.
  for (const statement of statementsIn(text)) await client.query(statement)
}
