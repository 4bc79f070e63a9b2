import { afterAll, beforeAll, describe, expect, inject } from 'vitest'
import { findBinaries } from '../../src/embedded/binaries.ts'
import { startServer, type EmbeddedServer } from '../../src/embedded/server.ts'
import { archive } from '../../src/engine/commands/archive.ts'
import { carryOut } from '../../src/engine/run.ts'
import type { ArchiveFormat } from '../../src/plan/archive/request.ts'
import { archiveFolder, archiveTo } from '../support/archiving.ts'
import {
  AWKWARD_SETTINGS,
  awkwardContent,
  awkwardTable,
  awkwardTypes,
  OWN_TYPES,
  type AwkwardType,
} from '../support/awkward-values.ts'
import { Database, test } from '../support/database.ts'
import { restoreFrom } from '../support/restoring.ts'
import { SETTINGS } from '../support/server.ts'
import { prepareGround, type Ground } from '../support/template.ts'
import { quietly } from '../support/tool.ts'

// Every value comes back as the same text, whatever the settings of the role that archives and of the one that restores:
// in all formats, or those named by EBB_MATRIX_FORMATS, and between the shared server and those of EBB_MATRIX_PG, folders of programs.

const FORMATS = (process.env.EBB_MATRIX_FORMATS ?? 'csv,parquet').split(',') as ArchiveFormat[]
const OTHERS = (process.env.EBB_MATRIX_PG ?? '').split(':').filter((folder) => folder !== '')
/** One representative pair; all of them where there are other servers. */
const PAIRS =
  OTHERS.length === 0
    ? [[1, 2] as const]
    : AWKWARD_SETTINGS.map((_, i) => [i, (i + 1) % AWKWARD_SETTINGS.length] as const)

const servers: EmbeddedServer[] = []
const grounds: Ground[] = []

beforeAll(async () => {
  for (const folder of OTHERS) {
    const server = await startServer({ binaries: await findBinaries({ folder }), settings: SETTINGS })
    servers.push(server)
    grounds.push(await prepareGround(server.url))
  }
})
afterAll(() => Promise.all(servers.map((server) => server.remove())))

describe.each(FORMATS)('as %s', (format) => {
  test('all values come back as they were, to a server of the same version', async () => {
    const shared = inject('ground')
    for (const ground of [shared, ...grounds])
      for (const [from, to] of PAIRS) await roundTrip(ground, ground, format, from, to)
  })

  test.runIf(OTHERS.length > 0)('and to another, forth and back', async () => {
    const shared = inject('ground')
    for (const other of grounds)
      for (const [from, to] of PAIRS) {
        await roundTrip(shared, other, format, from, to)
        await roundTrip(other, shared, format, from, to)
      }
  })
})

/** Archives under one of the settings, and restores into a new table under another. */
async function roundTrip(
  from: Ground,
  to: Ground,
  format: ArchiveFormat,
  written: number,
  read: number,
): Promise<void> {
  const types = awkwardTypes(Math.floor(Math.min(from.version, to.version) / 10_000))
  const [source, target] = [await Database.create(from), await Database.create(to)]
  const folder = await archiveFolder()
  try {
    for (const database of [source, target]) for (const statement of OWN_TYPES) await owned(database, statement)
    for (const statement of awkwardTable('awkward', types)) await owned(source, statement)
    const before = await contentOf(source, 'awkward', types)
    const order = { where: 'id > 0', to: archiveTo(folder.uri, { format, partBytes: 20_000 }) }
    const { receipt } = await carryOut(
      under(source, written),
      { schema: 'public', name: 'awkward' },
      archive,
      order,
      quietly(),
    )
    await restoreFrom({ receipt: receipt.uri }, under(target, read), { into: { schema: 'public', name: 'back' } })
    const what = `${format}, ${from.version} to ${to.version}, settings ${written} and ${read}`
    expect({ what, rows: await contentOf(target, 'back', types) }).toEqual({ what, rows: before })
  } finally {
    await Promise.all([source, target].map((database) => database.close()))
    await Promise.all([source, target].map((database) => database.drop()))
    await folder.close()
  }
}

async function owned(database: Database, statement: string): Promise<void> {
  const session = await database.session('owner')
  await session.query(statement)
  await session.end()
}

/** Under settings that are the same on both sides. */
async function contentOf(database: Database, name: string, types: readonly AwkwardType[]): Promise<unknown> {
  const session = await database.session('look')
  await session.query(
    `set timezone = 'UTC'; set extra_float_digits = 3; set bytea_output = hex; set intervalstyle = iso_8601`,
  )
  const { rows } = await session.query(awkwardContent(name, types))
  await session.end()
  return rows
}

function under(database: Database, settings: number): string {
  const options = Object.entries(AWKWARD_SETTINGS[settings] ?? {}).map(([name, value]) => `-c ${name}=${value}`)
  const url = new URL(database.url)
  if (options.length > 0) url.searchParams.set('options', options.join(' '))
  return url.href
}
