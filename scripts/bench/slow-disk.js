// A disk as slow as it is to be: a file in memory as a block device, with a file system, and a limit on what may be
// written to it in a second. So its speed does not depend on the machine's.
//
// It takes root on Linux, `losetup` and the first version of control groups for block devices, whose limit also holds for
// what the kernel writes by itself. Elsewhere EBB_BENCH_SLOW_FOLDER names a folder on a disk that is slow already.

import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

const LIMIT = '/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device'
const MEMORY = '/dev/shm'
const SIZE = 6e9

const run = (program, ...words) => execFileSync(program, words, { encoding: 'utf8' }).trim()

/** Makes a disk for `work`, which gets its folder, and a function that sets how many bytes a second it writes: null for all it can. */
export async function onSlowDisk(work) {
  const given = process.env.EBB_BENCH_SLOW_FOLDER
  if (given !== undefined) return work({ folder: given, limit: () => {} })
  const home = mkdtempSync(join(MEMORY, 'ebb-disk-'))
  chmodSync(home, 0o755) // the server is another user
  const folder = join(home, 'disk')
  const image = join(home, 'image')
  writeFileSync(image, '')
  truncateSync(image, SIZE)
  const device = run('losetup', '--find', '--show', image)
  const number = readFileSync(`/sys/block/${basename(device)}/dev`, 'utf8').trim()
  const limit = (bytes) => writeFileSync(LIMIT, `${number} ${bytes ?? 0}`)
  try {
    // Or the kernel goes on with it in the background.
    run('mkfs.ext4', '-q', '-E', 'lazy_itable_init=0,lazy_journal_init=0', device)
    run('mkdir', folder)
    run('mount', device, folder)
    try {
      return await work({ folder, limit })
    } finally {
      limit(null)
      run('umount', folder)
    }
  } finally {
    run('losetup', '--detach', device)
    rmSync(home, { recursive: true })
  }
}
