import { readdir, readFile, readlink } from 'node:fs/promises'

/**
 * Local ports of the TCP connections of this process and of those that have started it, where the system tells (Linux):
 * `client_port` in pg_stat_activity, unless a proxy is in between.
 */
export async function ownPorts(): Promise<ReadonlySet<number>> {
  const ports = new Set<number>()
  for (let pid = process.pid; pid > 0; pid = await parentOf(pid)) for (const port of await portsOf(pid)) ports.add(port)
  return ports
}

async function portsOf(pid: number): Promise<number[]> {
  const sockets = await socketsOf(pid)
  const tables = sockets.size === 0 ? [] : [`/proc/${pid}/net/tcp`, `/proc/${pid}/net/tcp6`]
  const lines = (await Promise.all(tables.map(textOf))).flatMap((table) => table.trim().split('\n').slice(1))
  // sl local_address rem_address st queues timer retransmits uid timeout inode
  const entries = lines.map((line) => line.trim().split(/\s+/))
  return entries.flatMap(([, local = '', , , , , , , , inode = '']) =>
    sockets.has(inode) ? [Number.parseInt(local.split(':')[1] ?? '', 16)] : [],
  )
}

/** Inodes of the sockets of a process; none of one that may not be looked at. */
async function socketsOf(pid: number): Promise<ReadonlySet<string>> {
  const folder = `/proc/${pid}/fd`
  const open = await readdir(folder).catch(() => [])
  const targets = await Promise.all(open.map((fd) => readlink(`${folder}/${fd}`).catch(() => '')))
  return new Set(targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []))
}

/** 0 where there is none, or it cannot be told. */
async function parentOf(pid: number): Promise<number> {
  // The name of the program is in parentheses, and may contain some.
  const [, parent = '0'] = /^.*\) \S (\d+)/s.exec(await textOf(`/proc/${pid}/stat`)) ?? []
  return Number(parent)
}

function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '')
}
