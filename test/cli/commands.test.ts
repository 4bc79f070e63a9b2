import { Command } from 'commander'
import { expect, test } from 'vitest'
import { COMMANDS } from '../../src/cli/commands.ts'
import { commandTree } from '../../src/cli/tree.ts'
import { ebb } from './support.ts'

test('the help lists each command with the arguments that it takes', async () => {
  const { out } = await ebb(['--help'])
  const { commands } = await commandTree()
  for (const { name, takes } of COMMANDS) {
    const command = commands.find((one) => one.name() === name)!
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
