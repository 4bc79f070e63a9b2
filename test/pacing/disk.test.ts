import { describe, expect, test } from 'vitest'
import { afterCommit, pauseForDisk, UNKNOWN_DISK, type DiskPace } from '../../src/pacing/disk.ts'
import { pausesAfter } from '../../src/pacing/pauses.ts'

/** A run beside others: each piece is as large as it may be, takes 5 ms and its commit, and is followed by its pause. */
function run(pieces: number, commitMs: (rows: number, now: number) => number, before = UNKNOWN_DISK, from = 0) {
  let [disk, now, rows, total] = [before, from, 32, 0]
  const commits: number[] = []
  for (let piece = 0; piece < pieces; piece++) {
    const commit = commitMs(rows, now)
    const milliseconds = 5 + commit
    now += milliseconds
    disk = afterCommit(disk, { rows, at: now, milliseconds, commitMs: commit })
    now += pauseForDisk(disk, rows, milliseconds)
    commits.push(commit)
    total += rows
    rows = Math.max(32, disk.most)
  }
  return { disk, now, commits, perMs: total / (now - from) }
}

/** A disk that writes five rows in a millisecond, and has taken up to 150 rows before it says so. */
function slowDisk() {
  let [queue, last] = [0, 0]
  return (rows: number, now: number) => {
    queue = Math.max(0, queue - 5 * (now - last)) + rows
    last = now
    return 1 + Math.max(0, queue - 150) / 5
  }
}

describe('while others are at work', () => {
  test('pieces grow for as long as commits are quick', () => {
    const { disk, commits } = run(60, () => 1)
    expect(disk.most).toBeGreaterThan(50_000)
    expect(pauseForDisk(disk, disk.most, 400)).toBe(0)
    expect(Math.max(...commits)).toBe(1)
  })

  test('a large piece with a slow commit is made smaller, without a pause: the disk has room', () => {
    const disk = afterCommit(run(10, () => 1).disk, { rows: 8_000, at: 1_000, milliseconds: 400, commitMs: 80 })
    expect(disk.most).toBe(2_000)
    expect(pauseForDisk(disk, 2_000, 100)).toBe(0)
  })

  test('a disk that cannot keep up is given about as much as it writes, in pieces of a few milliseconds', () => {
    const { commits, perMs, disk } = run(2_000, slowDisk())
    expect(commits.filter((ms) => ms > 25).length).toBeLessThan(20)
    expect(perMs).toBeGreaterThan(2.5)
    expect(perMs).toBeLessThan(5)
    expect(disk.most).toBeLessThan(150)
  })

  test('a disk that stays slow, whatever this run writes, slows it down and does not stop it', () => {
    const { disk, now } = run(200, (_rows, at) => (at === 0 ? 1 : 100))
    expect(disk.most).toBeLessThanOrEqual(32)
    expect(now / 200).toBeLessThanOrEqual(4 * 105)
    expect(now / 200).toBeGreaterThan(105)
  })

  test('the pace comes back when the disk has room again', () => {
    const { disk, now } = run(200, slowDisk())
    const later = run(1_000, () => 1, disk, now)
    expect(later.disk.most).toBeGreaterThan(10 * disk.most)
  })

  test('after one slow commit it comes back slowly at first, and soon once that cannot have been too much', () => {
    const quick = run(40, () => 1)
    const slow = run(1, () => 500, quick.disk, quick.now)
    expect(slow.disk.perMs).toBeLessThan(slow.disk.tooMuch)
    const soon = run(70, () => 1, slow.disk, slow.now)
    expect(soon.disk.perMs / soon.disk.tooMuch).toBeLessThan(1.5)
    const later = run(80, () => 1, soon.disk, soon.now)
    expect(later.disk.perMs / later.disk.tooMuch).toBeGreaterThan(20)
  })

  test('where every commit takes long, that is not taken for too much', () => {
    const { disk } = run(20, () => 30)
    expect(disk.perMs).toBe(Infinity)
    expect(disk.most).toBeGreaterThan(32)
  })

  test('the pause has a reason', () => {
    const disk: DiskPace = { ...UNKNOWN_DISK, perMs: 1, commitMs: 85, quickestMs: 1.25 }
    const claims = { pauseMs: 0, slowness: 1, others: 0, ease: 0, because: null, disk }
    expect(pausesAfter({ rows: 150, milliseconds: 90, commitMs: 85 }, claims)).toEqual([
      { reason: 'slow commits', milliseconds: 60, text: 'slower, because a commit takes 85 ms (1.3 ms at best)' },
    ])
    expect(pausesAfter({ rows: 150, milliseconds: 90 }, claims)).toEqual([])
  })
})
