import { expect } from 'vitest'
import { rotate } from '../../src/engine/commands/rotate.ts'
import type { Event } from '../../src/events.ts'
import { test } from '../support/database.ts'
import { createEvents } from '../support/events-table.ts'
import { partition } from '../support/commands.ts'
import { monthly, quietly, written } from '../support/tool.ts'

/** What happens in steps; anything else may be told before there is a run. */
function inSteps(events: readonly Event[]): readonly Event[] {
  return events.filter(({ type }) => type === 'step started' || type === 'step finished')
}

test('every event names its table, and its run if there is one', async ({ database }) => {
  const { events: table } = await createEvents(database, { rows: 2_000 })
  const options = quietly()
  const { runId } = await partition(database.url, written(table), monthly(), options)
  expect(inSteps(options.events).length).toBeGreaterThan(5)
  expect(options.events.filter((event) => event.table.name !== table.name)).toEqual([])
  expect(inSteps(options.events).filter((event) => event.runId !== runId)).toEqual([])

  const rotating = quietly()
  const rotation = {
    tables: [written(table)],
    keep: { count: 1, unit: 'day' },
    retire: 'drop',
    grace: null,
    archive: null,
    noArchive: true,
    forget: false,
    accept: ['history'],
  } as const
  await rotate(database.url, rotation, rotating)
  expect(rotating.events.filter((event) => event.table.name !== table.name)).toEqual([])
  expect(
    rotating.events.filter((event) => event.runId !== null),
    'a rotation is no run',
  ).toEqual([])
})
