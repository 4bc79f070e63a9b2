import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { rotate } from '../../src/engine/commands/rotate.ts'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { LIGHT_PACE, type PaceSettings } from '../../src/pacing/limits.ts'
import type { Event } from '../../src/events.ts'
import { display } from '../../src/sql/names.ts'
import { ebb } from '../cli/support.ts'
import { monthlyEvents, monthsOf, options, request } from '../engine/rotate-support.ts'
import { test } from '../support/database.ts'
import { until } from '../support/until.ts'
import { folder } from './support.ts'

// Rotation gives way before each partition that goes; the runway never waits.

const pacing = (settings: Partial<PaceSettings>) => ({ settings: { ...LIGHT_PACE, ...settings }, paceFile: null })

test('a pause precedes the removal of each partition, after partitions have been created ahead', async ({
  database,
}) => {
  const table = await monthlyEvents(database, -4, 1)
  const pauseFile = join(await folder(), 'pause')
  await writeFile(pauseFile, '')
  const events: Event[] = []
  const rotation = rotate(
    database.url,
    request({ tables: [table], keep: '2 months' }),
    options({ pacing: pacing({ pauseFile }), observer: (event) => void events.push(event) }),
  )
  await until(() => events.some((event) => event.type === 'waiting' && event.reason.includes('pause file')))
  expect(await monthsOf(database, table)).toEqual([-4, -3, -2, -1, 0, 1, 2, 3])

  await rm(pauseFile)
  const { sets } = await rotation
  expect(sets[0]!.retired).toHaveLength(2)
  expect(sets[0]!.pace!.pausedMsBy['pause file']).toBeGreaterThan(50)
})

test('a stop file stops it and all further sets, and the next rotation finishes', async ({ database }) => {
  const [one, other] = [await monthlyEvents(database, -4, 1, 'one'), await monthlyEvents(database, -4, 1, 'other')]
  const stopFile = join(await folder(), 'stop')
  await writeFile(stopFile, '')
  const words = ['rotate', display(one), display(other), '--keep', '2 months', '--no-archive', '--execute']
  words.push('--url', database.url, '--stop-file', stopFile)
  const stopped = await ebb(words)
  expect(stopped.code).toBe(EXIT.stopped)
  expect(stopped.out).toContain(`stopped by the stop file ${stopFile}`)
  expect(stopped.out).toContain('Remove the file')
  expect(await monthsOf(database, other)).toHaveLength(5)

  await rm(stopFile)
  expect((await ebb(words)).code).toBe(EXIT.done)
  expect(await monthsOf(database, one)).toEqual([-2, -1, 0, 1, 2, 3])
})

test('all invalid pace options are reported together, beforehand', async ({ database }) => {
  const words = ['--max-active', 'many', '--window', '9-17', '--health-url', 'ftp://user:s3cret@host']
  const { code, err } = await ebb(['rotate', 'events', '--url', database.url, ...words])
  expect(code).toBe(EXIT.usage)
  for (const word of ['--max-active: ', '--window: ', '--health-url: ']) expect(err).toContain(word)
  expect(err).not.toContain('s3cret')
})

test('the printed command contains no secret of a health URL', async ({ database }) => {
  const table = await monthlyEvents(database, -4, 1)
  const url = 'https://user:s3cret@health.example/well?token=t0ken'
  const words = ['rotate', display(table), '--keep', '2 months', '--no-archive', '--url', database.url]
  for (const form of [['--health-url', url], [`--health-url=${url}`]]) {
    const { out } = await ebb([...words, ...form])
    expect(out).toContain('health.example')
    expect(out).not.toMatch(/s3cret|t0ken/)
  }
})
