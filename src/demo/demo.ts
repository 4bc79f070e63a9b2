import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
// Loaded before the application starts, whose sessions share this process: loading takes 0.1 s, which would look like
// time spent waiting for the server.
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
  /** The server keeps running, and its URL is printed. */
  readonly keep: boolean
  /** By default large enough to be realistic. */
  readonly scale?: Scale
}

const SCALE: Scale = { events: 2_000_000, pageViews: 280_000 }

// For a server that lives for a minute: no checkpoint, and enough memory.
const SETTINGS = { max_wal_size: '4GB', checkpoint_timeout: '30min', shared_buffers: '512MB' }

/**
 * Runs the whole story on a server of its own, with an application writing and reading. The server is removed at the
 * end, unless the demo succeeded and `keep` is set.
 *
 * @throws {EbbError} when a command failed, the application met an error, or a row is missing
 */
export async function runDemo(context: Context, { keep, scale = SCALE }: DemoOptions): Promise<DemoReport> {
  const narrator = new Narrator(context)
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
  const archive = join(dirname(server.dataFolder), 'archive')
  await mkdir(archive)
  const traffic = await withTraffic(shop, narrator, () => tellStory({ narrator, shop, archive, signal }))

  return withClient(shop.url, signal, async (client) => {
    const after = await takeStock(client, horizon)
    const missing = countMissing(before, after, traffic)
    const report = { before, after, lockMs: await readLockMs(client), traffic, missing }
    narrator.heading('8. Results')
    const lines = [...describeFigures(report), ...describeMaps(await readMaps(client))]
    for (const line of lines) narrator.line(line)
    assertWell(report)
    return report
  })
}

async function withTraffic(shop: Shop, narrator: Narrator, story: () => Promise<void>): Promise<TrafficReport> {
  const traffic = await startTraffic(shop)
  narrator.line('')
  narrator.say('From now on an application is running: three sessions write and three read, continuously.')
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
  const what =
    first === undefined ? `${missing} rows are missing or duplicated` : `the application met errors: ${first}`
  throw new EbbError(what, {
    state: 'The demo’s server has been removed.',
    next: 'Please report it with the output above.',
  })
}

function stopped(cause: unknown): EbbError {
  return new EbbError(
    'the demo was stopped',
    { state: 'Its server and data have been removed.', next: 'Start it again: ebb demo.' },
    'stopped',
    cause,
  )
}

function sayHowToStop(narrator: Narrator, server: EmbeddedServer): void {
  const shop = new URL('/shop', server.url)
  shop.username = 'app'
  narrator.line('\nThe server keeps running, so that you can look around:')
  narrator.line(`  psql ${shop.href}`)
  narrator.line('To stop it and remove its data:')
  narrator.line(`  kill -INT ${server.pid} && sleep 1 && rm -r ${dirname(server.dataFolder)}`)
}
