import { Command } from 'commander'
import { describe, expect, test as plainTest } from 'vitest'
import { flagsOf, withOptions } from '../../src/cli/flags.ts'
import { commandTree } from '../../src/cli/tree.ts'
import { nameVariables } from '../../src/cli/variables.ts'
import { Faults } from '../../src/requests/faults.ts'
import { PURGE } from '../../src/requests/purge.ts'
import { readValues } from '../../src/requests/spec.ts'
import { display } from '../../src/sql/names.ts'
import { test } from '../support/database.ts'
import { ebb, eventsTable } from './support.ts'

/** What a purge is asked for, and what is wrong with it. */
function purge(args: readonly string[], env: Record<string, string>) {
  const command = withOptions(new Command('purge'), PURGE.options)
  nameVariables(command)
  command.exitOverride().parse([...args], { from: 'user' })
  const faults = new Faults()
  const values = readValues(PURGE, flagsOf(command, args, env), faults)
  return { values, faults: faults.all().map(({ where, error }) => `${where}: ${error.message}`) }
}

describe('each flag that takes a value', () => {
  plainTest('has a variable, but not what approves; one that is shared means one flag', async () => {
    const { commands } = await commandTree()
    const flags = commands.flatMap(function all(command): { command: string; long: string; variable?: string }[] {
      const own = command.options
        .filter(({ required, optional }) => required || optional)
        .map(({ long, envVar }) => ({ command: command.name(), long: long!, ...(envVar ? { variable: envVar } : {}) }))
      return [...own, ...command.commands.flatMap(all)]
    })
    const without = flags.filter(({ variable }) => variable === undefined).map(({ long }) => long)
    expect([...new Set(without)].sort()).toEqual(['--accept', '--approved-by', '--ticket', '--url'])
    for (const { variable, long } of flags)
      if (variable !== undefined)
        expect(new Set(flags.filter((other) => other.variable === variable).map((other) => other.long))).toEqual(
          new Set([long]),
        )
    const names = (wanted: string) => flags.filter(({ long }) => long === wanted).map(({ variable }) => variable)
    expect(new Set(names('--lock-timeout'))).toEqual(new Set(['EBB_LOCK_TIMEOUT']))
    expect(names('--keep')).toContain('EBB_ROTATE_KEEP')
    // Different conditions, so a purge may not take the one of a restore.
    expect(new Set(names('--where')).size).toBe(names('--where').length)
  })

  plainTest('is read from there where it is not typed, and errors name it', () => {
    const env = { EBB_PURGE_ORDER_BY: 'at', EBB_DEADLINE: '2 minutes', EBB_PURGE_PROTECT: 'a\n"b,c"\n' }
    const { values, faults } = purge(['t', '--where', 'true', '--deadline', '3 minutes'], env)
    expect(faults).toEqual([])
    expect(values).toMatchObject({ orderBy: 'at', deadline: 180_000 })
    expect(values.protect.map(({ name }) => name)).toEqual(['a', 'b,c'])
    expect(purge(['t', '--where', 'true'], { EBB_DEADLINE: 'soon' }).faults).toEqual([
      expect.stringContaining("EBB_DEADLINE: 'soon' is not a duration"),
    ])
    expect(purge(['t', '--where', 'true'], { EBB_DEADLINE: '' }).values.deadline).toBe(60_000)
    expect(purge(['t', '--marked', 'gone'], { EBB_PURGE_WHERE: 'true' }).faults).toEqual([
      expect.stringMatching(/EBB_PURGE_WHERE, .*--marked/),
    ])
  })

  plainTest('typed as --no-archive, it is not archived in spite of a variable', () => {
    const env = { EBB_PURGE_ARCHIVE: '/archive' }
    expect(purge(['t', '--where', 'true'], env).values).toMatchObject({ archive: 'file:///archive' })
    expect(purge(['t', '--where', 'true', '--no-archive'], env)).toMatchObject({
      values: { archive: null, noArchive: true },
      faults: [],
    })
  })

  plainTest('that approves is typed', () => {
    const env = { EBB_PURGE_ACCEPT: 'no-archive', EBB_ACCEPT: 'no-archive', EBB_PURGE_APPROVED_BY: 'me' }
    expect(purge(['t', '--where', 'true'], env).values).toMatchObject({ accept: [], approvedBy: null })
  })
})

plainTest('a mistyped variable is named with the nearest one, and those of others are left alone', async () => {
  const env = {
    EBB_ROTATE_KEPT: '90 days',
    EBB_LOCKTIMEOUT: '100',
    EBB_RUN_EXECUTE: 'true',
    EBB_ROTATE_QUICKLY: 'yes',
    EBB_TEST_KEEP: '1',
    EBB_PORT_5432_TCP_ADDR: '10.0.0.1',
    EBB_BUCKET: 'logs',
  }
  const { err } = await ebb(['migrate', 'create', 'x', '--type', 'nonsense'], { env })
  expect(err.split('\n').filter((line) => line.startsWith('warning: '))).toEqual([
    'warning: EBB_ROTATE_KEPT is ignored; did you mean EBB_ROTATE_KEEP?',
    'warning: EBB_LOCKTIMEOUT is ignored; did you mean EBB_LOCK_TIMEOUT?',
    'warning: EBB_RUN_EXECUTE is ignored: --execute is not read from variables of Ebb',
    'warning: EBB_ROTATE_QUICKLY is ignored: ebb rotate has no such flag; see ebb rotate --help',
  ])
  const right = await ebb(['migrate', 'create', 'x'], {
    env: { EBB_MIGRATE_TYPE: 'nonsense', EBB_ROTATE_KEEP: '1 day' },
  })
  expect(right.err).toContain('EBB_MIGRATE_TYPE:')
  expect(right.err).not.toContain('warning')
})

test('a plan that a variable had a part in says so where it says how it is executed', async ({ database }) => {
  const table = await eventsTable(database)
  const { code, out } = await ebb(['purge', display(table), '--no-archive', '--url', database.url], {
    env: { EBB_PURGE_WHERE: "at < now() - interval '9 days'", EBB_PURGE_ORDER_BY: '' },
  })
  expect(code).toBe(0)
  expect(out).toMatch(/EBB_PURGE_WHERE='at < now\(\) - interval '\\''9 days'\\''' ebb purge .* --execute/)
})
