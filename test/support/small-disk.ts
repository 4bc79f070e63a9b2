import { execFileSync } from 'node:child_process'
import { chownSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unable, type Skip } from './programs.ts'

/** A file system of so many megabytes, for a server to fill. */
export class SmallDisk {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  /** Mounts it for whom `like` belongs to; skips the test where that is not allowed. */
  static mount(megabytes: number, like: string, skip: Skip): SmallDisk {
    const folder = mkdtempSync(join(tmpdir(), 'ebb-disk-'))
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder], { stdio: 'ignore' })
    } catch {
      rmSync(folder, { recursive: true })
      return unable('needs to mount a small file system, which takes root', skip)
    }
    const { uid, gid } = statSync(like)
    chownSync(folder, uid, gid)
    return new SmallDisk(folder)
  }

  grow(megabytes: number): void {
    execFileSync('mount', ['-o', `remount,size=${megabytes}m`, this.folder])
  }

  unmount(): void {
    execFileSync('umount', ['--lazy', this.folder])
    rmSync(this.folder, { recursive: true })
  }
}
