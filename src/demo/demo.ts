import { dirname } from 'node:path'
// Loaded before the application starts, whose sessions share this process: loading takes 0.1 s, which would
// look as if they had waited for the server.
import 'umzug'
import type { Context } from '../cli/context.ts'
import { startServer, type EmbeddedServer } from '../embedded/server.ts'
import { EbbError } from '../errors.ts'
import { showCount } from '../text/units.ts'
import {
  countMissing,
  describeFigures,
  describeMaps,
  readHorizon,
  readLockMs,
  readMaps,
  takeStock,
  type DemoReport,
} from './figures.ts'
import { Narrator } from './narrator.ts'
import { setUpShop, withClient, type Scale, type Shop } from './setup.ts'
import { tellStory } from './story.ts'
import { startTraffic, type TrafficReport } from './traffic.ts'

export interface DemoOptions {
  /** The server goes on, and its URL is printed. */
  readonly keep: boolean
  /** By default large enough to be believed. */
  readonly scale?: Scale
}

const SCALE: Scale = { events: 2_000_000, pageViews: 280_000 }

// For a server that lives for a minute: no checkpoint in between, room in memory.
const SETTINGS = { max_wal_size: '4GB', checkpoint_timeout: '30min', shared_buffers: '512MB' }

/**
 * The whole story on a server of its own, with an application at work. The
 * server goes however this ends, unless it ends well and was to be kept.
 *
 * @throws {EbbError} when a command failed, the application met an error, or a row is missing
 */
export async function runDemo(context: Context, { keep, scale = SCALE }: DemoOptions): Promise<DemoReport> {
  const narrator = new Narrator(context.out)
  narrator.line('A table with fourteen months of rows is partitioned, rotated and split while it is in use.\n')
  const server = await narrator.during('Starting a PostgreSQL server', () => startServer({ keep, settings: SETTINGS }))
  let stays = false
  try {
    const report = await playOn(server, narrator, context.signal, scale)
    stays = keep
    return report
  } catch (error) {
    throw context.signal.aborted ? stopped(error) : error
  } finally {
    if (stays) sayHowToStop(narrator, server)
    else await server.remove()
  }
}

async function playOn(
  server: EmbeddedServer,
  narrator: Narrator,
  signal: AbortSignal,
  scale: Scale,
): Promise<DemoReport> {
  const what = `Filling events with ${showCount(scale.events)} rows, page_views with ${showCount(scale.pageViews)}`
  const shop = await narrator.during(what, () => setUpShop(server.url, scale, signal))
  const { before, horizon } = await withClient(shop.url, signal, async (client) => {
    const horizon = await readHorizon(client)
    return { horizon, before: await takeStock(client, horizon) }
  })
  const traffic = await withTraffic(shop, narrator, () => tellStory({ narrator, shop, signal }))

  return withClient(shop.url, signal, async (client) => {
    const after = await takeStock(client, horizon)
    const missing = countMissing(before, after, traffic)
    const report = { before, after, lockMs: await readLockMs(client), traffic, missing }
    narrator.heading('7. What it came to')
    const lines = [...describeFigures(report), ...describeMaps(await readMaps(client))]
    for (const line of lines) narrator.line(line)
    assertWell(report)
    return report
  })
}

async function withTraffic(shop: Shop, narrator: Narrator, story: () => Promise<void>): Promise<TrafficReport> {
  const traffic = await startTraffic(shop)
  narrator.line('')
  narrator.say('From here on an application is at work: three sessions write and three read, all the time.')
  try {
    await story()
  } finally {
    await traffic.stop()
  }
  return traffic.report()
}

function assertWell({ traffic, missing }: DemoReport): void {
  const [first] = traffic.errors
  if (first === undefined && missing === 0) return
  const what = first === undefined ? `${missing} rows are missing or too many` : `the application met errors: ${first}`
  throw new EbbError(what, {
    state: 'The demo and its server are gone.',
    next: 'This should not have happened: please report it with what was printed above.',
  })
}

function stopped(cause: unknown): EbbError {
  return new EbbError(
    'the demo was stopped',
    { state: 'Its server is gone, with all that was in it.', next: 'Start it again: ebb demo.' },
    'stopped',
    cause,
  )
}

function sayHowToStop(narrator: Narrator, server: EmbeddedServer): void {
  const shop = new URL('/shop', server.url)
  shop.username = 'app'
  narrator.line('\nThe server goes on, for you to look around:')
  narrator.line(`  psql ${shop.href}`)
  narrator.line('To stop it and remove what it holds:')
  narrator.line(`  kill -INT ${server.pid} && sleep 1 && rm -r ${dirname(server.dataFolder)}`)
}
