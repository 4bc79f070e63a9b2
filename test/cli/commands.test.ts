import { Command } from 'commander'
import { expect, test } from 'vitest'
import { COMMANDS } from '../../src/cli/commands.ts'
import { ebb } from './support.ts'

const SILENT = { write: () => {}, isTTY: false, columns: 100 }
const INVOCATION = {
  context: { out: SILENT, err: SILENT, env: {}, signal: new AbortController().signal },
  args: [],
  end: () => {},
}

test('the help lists each command with the arguments that it takes', async () => {
  const { out } = await ebb(['--help'])
  for (const listed of COMMANDS) {
    const { name, takes } = listed
    const command = (await listed.load())(INVOCATION)
    expect(shape(command), name).toEqual(takes.includes('|') ? takes.split('|') : shapeOf(takes))
    expect(out).toContain(`\n  ${`${name} ${takes}`.trimEnd()} `)
  }
})

/** Its arguments; of a command that takes none but commands of its own, their names. */
function shape({ registeredArguments, commands }: Command): unknown[] {
  if (registeredArguments.length === 0) return commands.map((one) => one.name())
  return registeredArguments.map((one) => [one.name(), one.required, one.variadic])
}

function shapeOf(takes: string): unknown[] {
  return shape(takes === '' ? new Command() : new Command().arguments(takes))
}

test('a word that is no command is answered with those that are near', async () => {
  expect(await ebb(['rotat'])).toMatchObject({ code: 2, err: expect.stringContaining('rotate') as string })
})
