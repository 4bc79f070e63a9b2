import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { execFileSync } from 'node:child_process'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { directoryError } from '../../src/archive/stores/directory-error.ts'
import { openStore } from '../../src/archive/stores/open.ts'
import { probe } from '../../src/archive/probe.ts'
import { SmallDisk } from '../support/small-disk.ts'
import { all, contentsOf, put, storeContract, textOf } from './store-contract.ts'

const ROOT = mkdtempSync(join(tmpdir(), 'ebb-archive-'))
let made = 0

afterAll(() => rmSync(ROOT, { recursive: true }))

const SIGNAL = new AbortController().signal

function newFolder(): string {
  const folder = join(ROOT, `${++made} ä#?`)
  mkdirSync(folder)
  return folder
}

describe('a directory', () => {
  storeContract(async () => openStore(newFolder()))

  test('is private, and durable before it is said to be stored', async () => {
    const folder = newFolder()
    const synchronized = await spyOnSync(() => readdirSync(folder, { recursive: true, encoding: 'utf8' }))
    await put(await openStore(folder), 'a/b/c', 'content')
    const mode = (name: string) => statSync(join(folder, name)).mode & 0o777
    expect([mode('a'), mode('a/b'), mode('a/b/c')]).toEqual([0o700, 0o700, 0o600])
    // The file before it has its name, then each folder with the name in it.
    expect(synchronized.seen()).toEqual([
      ['file', false],
      ['folder', true],
      ['folder', true],
      ['folder', true],
    ])
  })

  test('does not follow links out of it', async () => {
    const [folder, outside] = [newFolder(), newFolder()]
    writeFileSync(join(outside, 'secret'), 'content')
    symlinkSync(outside, join(folder, 'away'))
    symlinkSync(join(outside, 'secret'), join(folder, 'link'))
    const store = await openStore(folder)
    for (const name of ['away/secret', 'link'])
      await expect(store.get(name)).rejects.toMatchObject({
        problem: 'denied',
        message: expect.stringContaining('link') as string,
      })
    await expect(put(store, 'away/new', 'x')).rejects.toMatchObject({ problem: 'denied' })
    await expect(store.remove('away/secret')).rejects.toMatchObject({ problem: 'denied' })
    expect(readdirSync(outside)).toEqual(['secret'])
    expect(await contentsOf(store)).toEqual([[], []])
  })

  test('has an unfinished file of a probe that was killed for a day, and no longer', async () => {
    const folder = newFolder()
    const [old, recent, ofObject] = ['.ebb-unfinished-1', '.ebb-unfinished-2', 'a/.ebb-unfinished-3']
    mkdirSync(join(folder, 'a'))
    for (const name of [old, recent, ofObject]) writeFileSync(join(folder, name), '')
    const yesterday = Date.now() / 1000 - 25 * 3600
    for (const name of [old, ofObject]) utimesSync(join(folder, name), yesterday, yesterday)
    const store = await openStore(folder)
    await probe(store, SIGNAL)
    expect((await all(store.unfinished(''))).map(({ name }) => name)).toEqual([recent, ofObject])
  })

  test('is never created', async () => {
    const missing = join(ROOT, 'missing')
    const file = join(newFolder(), 'file')
    writeFileSync(file, '')
    for (const [path, what] of [
      [missing, 'is not there (ENOENT)'],
      [file, 'is not a directory, or something in it is not (ENOTDIR)'],
    ] as const) {
      const store = await openStore(path)
      const error = { problem: 'no store', message: `the directory ${path} ${what}` }
      await expect(put(store, 'a/b', 'x')).rejects.toMatchObject(error)
      await expect(store.get('a/b')).rejects.toMatchObject(error)
      await expect(store.remove('a/b')).rejects.toMatchObject(error)
      await expect(contentsOf(store)).rejects.toMatchObject(error)
      await expect(probe(store, SIGNAL)).rejects.toMatchObject(error)
    }
    const store = await openStore(newFolder())
    await put(store, 'a', 'x')
    await expect(put(store, 'a/b', 'x')).rejects.toMatchObject({ problem: 'no store' })
  })

  test('without rights is denied', async ({ skip }) => {
    const become = process.seteuid?.bind(process)
    if (become === undefined || process.getuid?.() !== 0) return skip('needs root, to become somebody else')
    const folder = newFolder()
    const store = await openStore(folder)
    await put(store, 'a/b', 'x')
    execFileSync('chmod', ['755', ROOT, folder])
    become(65_534)
    try {
      const error = {
        problem: 'denied',
        message: `the directory ${folder} may not be read or written by this user (EACCES)`,
      }
      await expect(put(store, 'a/c', 'x')).rejects.toMatchObject(error)
      await expect(put(store, 'b/c', 'x')).rejects.toMatchObject(error)
      await expect(store.get('a/b')).rejects.toMatchObject(error)
      await expect(contentsOf(store)).rejects.toMatchObject(error)
      await expect(probe(store, SIGNAL)).rejects.toMatchObject(error)
    } finally {
      become(0)
    }
    expect(await textOf(store, 'a/b')).toBe('x')
  })

  test('on a full or read-only disk leaves nothing', async ({ skip }) => {
    const disk = SmallDisk.mount(1, ROOT, skip)
    try {
      const store = await openStore(disk.folder)
      await put(store, 'a/small', 'x')
      const large = store.put('a/large', Readable.from([Buffer.alloc(2 ** 21)]), { atMost: 2 ** 21, signal: SIGNAL })
      await expect(large).rejects.toMatchObject({
        problem: 'full',
        message: `the directory ${disk.folder} is on a file system that is full, or at the limit of a quota (ENOSPC)`,
      })
      expect(await contentsOf(store)).toEqual([[{ name: 'a/small', bytes: 1 }], []])
      execFileSync('mount', ['-o', 'remount,ro', disk.folder])
      await expect(put(store, 'a/b', 'x')).rejects.toMatchObject({
        problem: 'denied',
        message: `the directory ${disk.folder} is on a file system that is mounted read-only (EROFS)`,
      })
      await expect(probe(store, SIGNAL)).rejects.toMatchObject({ problem: 'denied' })
    } finally {
      disk.unmount()
    }
  })

  test('without hard links is refused, for a rename would replace', () => {
    const error = (code: string, syscall: string) => Object.assign(new Error(code), { code, syscall })
    expect(directoryError(error('EPERM', 'link'), '/mnt')).toMatchObject({ problem: 'refused' })
    expect(directoryError(error('EPERM', 'open'), '/mnt')).toMatchObject({ problem: 'denied' })
    expect(directoryError(error('ESTALE', 'read'), '/mnt')).toMatchObject({ problem: 'unreachable', kind: 'try later' })
    expect(directoryError(error('EBUSY', 'read'), '/mnt')).toMatchObject({ problem: 'refused' })
  })
})

/** What is synchronized, and whether the object `…/c` has its name by then. */
async function spyOnSync(files: () => string[]): Promise<{ seen: () => (readonly [string, boolean])[] }> {
  const seen: (readonly [string, boolean])[] = []
  const handle = await open(ROOT)
  await handle.close()
  const prototype = Object.getPrototypeOf(handle) as typeof handle
  const sync = Reflect.get(prototype, 'sync')
  const spy = vi.spyOn(prototype, 'sync').mockImplementation(async function (this: typeof handle) {
    const kind = (await this.stat()).isDirectory() ? 'folder' : 'file'
    seen.push([kind, files().some((name) => name.endsWith('/c'))])
    await sync.call(this)
  })
  return {
    seen: () => {
      spy.mockRestore()
      return seen
    },
  }
}
