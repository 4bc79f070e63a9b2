import { appendFile, copyFile, mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type pg from 'pg'
import { handOver, serverAccount } from '../../src/embedded/account.ts'
import { startServer, type EmbeddedServer } from '../../src/embedded/server.ts'
import { once } from './template.ts'

export interface StandbyOptions {
  readonly settings?: Readonly<Record<string, string>>
  /** Otherwise the primary knows of it by its connection only. */
  readonly followsBySlot?: boolean
}

/**
 * Starts a streaming replica of the primary, for reading only; whoever starts it removes it.
 *
 * It begins as a base backup by the low-level functions of the manual's chapter
 * "Continuous Archiving", because the npm package has no pg_basebackup. WAL stays with
 * the primary (a replication slot) for as long as the standby has not received it.
 */
export async function followPrimary(
  primary: EmbeddedServer,
  { settings = {}, followsBySlot = true }: StandbyOptions = {},
): Promise<EmbeddedServer> {
  const slot = `standby_${Date.now()}`
  const dataFolder = join(dirname(primary.dataFolder), slot)
  await once(primary.url, (client) => copyCluster(client, primary.dataFolder, dataFolder, slot))
  await follow(primary, dataFolder, followsBySlot ? { ...settings, primary_slot_name: slot } : settings, slot)
  await handOver(dataFolder, serverAccount())
  return startServer({ binaries: primary.binaries, dataFolder })
}

// A backup is stopped by the session that started it.
async function copyCluster(client: pg.Client, from: string, to: string, slot: string): Promise<void> {
  const [start, stop] = await backupFunctions(client)
  await client.query('select pg_create_physical_replication_slot($1, true)', [slot])
  await client.query(`select ${start}`)
  await copyFolder(from, to)
  const { rows } = await client.query<{ labelfile: string; spcmapfile: string }>(
    `select labelfile, spcmapfile from ${stop}`,
  )
  await writeFile(join(to, 'backup_label'), rows[0]!.labelfile)
}

// Renamed in 15.
async function backupFunctions(client: pg.Client): Promise<[start: string, stop: string]> {
  const { rows } = await client.query<{ renamed: boolean }>(
    `select current_setting('server_version_num')::int >= 150000 as renamed`,
  )
  return rows[0]!.renamed
    ? [`pg_backup_start('standby', true)`, `pg_backup_stop(false)`]
    : [`pg_start_backup('standby', true, false)`, `pg_stop_backup(false, false)`]
}

/** Folders of which a backup has only the folder itself. */
const EMPTIED = new Set(['pg_wal', 'pg_replslot', 'pg_stat_tmp', 'pg_notify', 'pg_subtrans', 'pgsql_tmp'])
const LEFT_OUT = new Set(['postmaster.pid', 'postmaster.opts'])

// The server goes on working meanwhile: files come, grow and vanish, which WAL makes good.
async function copyFolder(from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o700 })
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (LEFT_OUT.has(entry.name)) continue
    if (EMPTIED.has(entry.name)) await mkdir(target, { mode: 0o700 })
    else if (entry.isDirectory()) await copyFolder(source, target)
    else await copyFile(source, target).catch(unlessGone)
  }
}

function unlessGone(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}

async function follow(
  primary: EmbeddedServer,
  dataFolder: string,
  settings: Readonly<Record<string, string>>,
  name: string,
): Promise<void> {
  await mkdir(join(dataFolder, 'pg_wal', 'archive_status'), { mode: 0o700 })
  await writeFile(join(dataFolder, 'standby.signal'), '')
  const primary_conninfo = `host=127.0.0.1 port=${primary.port} user=postgres application_name=${name}`
  const lines = Object.entries({ ...settings, primary_conninfo }).map(([key, value]) => `${key} = '${value}'\n`)
  await appendFile(join(dataFolder, 'postgresql.auto.conf'), lines.join(''))
}
