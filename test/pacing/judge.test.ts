import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { judge, lagToSpare, walToSpare, type Verdict } from '../../src/pacing/judge.ts'
import { DEFAULT_PACE, type Limits } from '../../src/pacing/limits.ts'
import type { Reading } from '../../src/pacing/reading.ts'
import type { WalLately } from '../../src/pacing/wal-window.ts'
import { parseWindow } from '../../src/pacing/window.ts'
import { WELL } from './support.ts'

const MB = 1e6

const replica = (bytes: number, seconds: number | null = null) => ({ replica: { name: 'berlin', bytes, seconds } })
const blocked = (...pids: number[]) => ({ blocked: pids.map((pid) => ({ pid, since: '', milliseconds: 1 })) })

describe('reasons to wait', () => {
  test.for<[what: string, reading: Partial<Reading>, limits: Partial<Limits>, reasons: string]>([
    ['all is well', {}, {}, ''],
    ['nothing can be seen', { blocked: null, active: null, vacuum: null, walPosition: null }, { maxActive: 0 }, ''],
    ['somebody waits', blocked(7), {}, 'a session waits for locks of this run (pid 7)'],
    ['two wait', blocked(7, 8), {}, '2 sessions wait for locks of this run (pid 7, 8)'],
    ['one may wait', blocked(7), { maxBlocked: 1 }, ''],
    ['any may wait', blocked(7, 8), { maxBlocked: null }, ''],
    ['a replica near its limit', replica(56 * MB), {}, ''],
    ['a replica with no room for a batch', replica(57 * MB), {}, 'replica berlin is 57.0 MB (limit 64.0 MB) behind'],
    ['a replica beyond it', replica(64 * MB + 1e5), {}, 'replica berlin is 64.1 MB (limit 64.0 MB) behind'],
    ['with seconds', replica(70 * MB, 2.25), {}, 'replica berlin is 70.0 MB (limit 64.0 MB) behind, 2.3 s'],
    ['no limit to its lag', replica(70 * MB), { maxReplicaLagBytes: null }, ''],
    ['a slot', { slot: { name: 'cdc', bytes: 9e9 } }, {}, 'replication slot cdc keeps 9.0 GB (limit 8.0 GB) of WAL'],
    [
      'WAL rate',
      { wal: { bytes: 60 * MB, seconds: 2 } },
      { maxWalBytesPerSecond: 20 * MB },
      'the server writes 30.0 MB (limit 20.0 MB) of WAL a second',
    ],
    ['the archiver', { archiveBacklogBytes: 5e9 }, {}, '5.0 GB (limit 4.0 GB) of WAL are waiting to be archived'],
    ['active sessions', { active: 21 }, { maxActive: 20 }, '21 active sessions, more than 20'],
    ['no more active than allowed', { active: 20 }, { maxActive: 20 }, ''],
    ['an ordinary vacuum', { vacuum: 'vacuum' }, {}, ''],
    [
      'an ordinary vacuum that counts',
      { vacuum: 'vacuum' },
      { yieldToVacuum: 'any' },
      'a vacuum is running on the table',
    ],
    ['wraparound', { vacuum: 'wraparound' }, {}, 'a vacuum to prevent wraparound is running on the table'],
    ['wraparound that does not count', { vacuum: 'wraparound' }, { yieldToVacuum: 'none' }, ''],
    ['bad health', { healthSql: { ok: false, why: 'because' } }, {}, 'because'],
    ['good health', { healthSql: { ok: true }, healthUrl: { ok: true } }, {}, ''],
    ['outside of a window', {}, { windows: [parseWindow('01:00-02:00')] }, 'outside of 01:00-02:00 UTC'],
    ['inside of one of two', {}, { windows: [parseWindow('01:00-02:00'), parseWindow('23:00-00:01')] }, ''],
    [
      'several reasons',
      { ...blocked(7), ...replica(65 * MB) },
      {},
      'a session waits for locks of this run (pid 7); replica berlin is 65.0 MB (limit 64.0 MB) behind',
    ],
  ])('%s', ([, reading, limits, reasons]) => {
    expect(reasonsOf(judge({ ...WELL, ...reading }, { ...DEFAULT_PACE, ...limits }))).toBe(reasons)
  })
})

describe('approaching a limit', () => {
  test.for<[bytes: number, ease: number]>([
    [0, 0],
    [32 * MB, 0],
    [44 * MB, 0.5],
    [56 * MB, 0.95],
  ])('a lag of %d bytes leaves %d of the time to others', ([bytes, ease]) => {
    expect(judge({ ...WELL, ...replica(bytes) }, DEFAULT_PACE)).toMatchObject({ kind: 'go', ease })
  })

  test('the stricter one counts', () => {
    const limits = { ...DEFAULT_PACE, maxWalBytesPerSecond: 10 * MB }
    const verdict = judge({ ...WELL, ...replica(40 * MB), wal: { bytes: 95 * MB, seconds: 10 } }, limits)
    expect(verdict).toMatchObject({ kind: 'go', because: { signal: 'WAL rate' } })
  })

  test('a larger replication lag means longer pauses', () => {
    const lag = fc.integer({ min: 0, max: 100 * MB })
    fc.assert(
      fc.property(lag, lag, fc.integer({ min: 0, max: 100 * MB }), (a, b, maxReplicaLagBytes) => {
        const [less, more] = [a, b].sort((x, y) => x - y).map((bytes) => restOf(bytes, maxReplicaLagBytes))
        expect(less).toBeLessThanOrEqual(more!)
        expect(restOf(Math.max(a, b), null)).toBe(0)
      }),
    )
  })
})

describe('a limit on WAL', () => {
  const limits = { ...DEFAULT_PACE, maxWalBytesPerSecond: 10 * MB }

  test.for<[what: string, wal: WalLately, ahead: number, kind: Verdict['kind']]>([
    ['just has room for the next batch', { bytes: 98 * MB, seconds: 10 }, 2 * MB, 'go'],
    ['has none', { bytes: 98 * MB, seconds: 10 }, 2.1 * MB, 'wait'],
    ['waits at first until it has', { bytes: 0, seconds: 0.1 }, 2 * MB, 'wait'],
    ['lets go what is too large by itself, for waiting would not help', { bytes: 0, seconds: 10 }, 900 * MB, 'go'],
  ])('%s', ([, wal, ahead, kind]) => {
    expect(judge({ ...WELL, wal }, limits, ahead).kind).toBe(kind)
  })

  test('limits a batch to a quarter of a second’s share', () => {
    expect(walToSpare(limits)).toBe(2.5 * MB)
    expect(walToSpare(DEFAULT_PACE)).toBe(Infinity)
  })
})

/** The share of the time that is left to others: all of it where the run waits. */
function restOf(bytes: number, maxReplicaLagBytes: number | null): number {
  const verdict = judge({ ...WELL, ...replica(bytes) }, { ...DEFAULT_PACE, maxReplicaLagBytes })
  expect(verdict.kind === 'wait').toBe(maxReplicaLagBytes !== null && bytes > maxReplicaLagBytes * 0.875)
  return verdict.kind === 'wait' ? 1 : verdict.ease
}

function reasonsOf(verdict: Verdict): string {
  return verdict.kind === 'wait' ? verdict.reasons.map(({ text }) => text).join('; ') : ''
}

test.for<[what: string, reading: Partial<Reading>, limit: number | null, room: number]>([
  ['half of the limit while nothing is behind', replica(0), 16 * MB, 8 * MB],
  ['half of what is left', replica(12 * MB), 16 * MB, 2 * MB],
  ['where it stands still, what was left there', replica(40 * MB), 16 * MB, 1 * MB],
  ['anything without a limit', replica(40 * MB), null, Infinity],
  ['anything without a replica', {}, 16 * MB, Infinity],
])('a batch may write %s', ([, reading, maxReplicaLagBytes, room]) => {
  expect(lagToSpare({ ...WELL, ...reading }, { ...DEFAULT_PACE, maxReplicaLagBytes })).toBe(room)
})
