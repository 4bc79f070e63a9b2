import { describe, expect, test } from 'vitest'
import type { PolicyConfig } from '../../src/policy/config.ts'
import { judgePolicy, type JudgedPolicy, type Standing } from '../../src/policy/judge-policy.ts'
import { policyOfProgram } from '../../src/policy/read-config.ts'

// What is in force is the outcome of an earlier policy; nothing is read from a database.

const NAME = 'public.events'
const TABLE = { schema: 'public', name: 'events' }
const NOW = BigInt(Date.UTC(2026, 10, 29)) * 1000n

const FRESH: Standing = {
  table: TABLE,
  inForce: null,
  present: { partitioned: true, key: { column: 'at', kind: 'timestamptz' }, registered: null },
  now: NOW,
  unfinished: null,
}

async function judge(policy: PolicyConfig, standing: Standing, accept: readonly string[] = []): Promise<JudgedPolicy> {
  return judgePolicy(await policyOfProgram(NAME, policy), standing, accept)
}

/** In force after a policy was applied. */
async function after(policy: PolicyConfig, standing = FRESH): Promise<Standing> {
  const { terms, set: registered, objections } = await judge(policy, standing)
  expect(objections).toEqual([])
  const inForce = { table: TABLE, terms, accepted: [], renamedTo: null, since: new Date(), recordedBy: 'somebody' }
  return { ...standing, inForce, present: { ...standing.present, registered } }
}

const codes = ({ objections }: JudgedPolicy) => objections.map(({ code }) => code)

const RECIPIENT = 'age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq'
const SET: PolicyConfig = { partition: { by: 'at', every: 'month' }, keep: '90 days', retire: 'detach' }
const DROP: PolicyConfig = { ...SET, retire: 'drop', archive: 'none' }
const STALE = { group: 'g', activity: 'at', idle: '30 days' }

describe('a policy that keeps less than what is in force', () => {
  test.for<[what: string, before: PolicyConfig, now: PolicyConfig, code: string]>([
    ['a shorter keep', SET, { ...SET, keep: '9 days' }, 'shorter-keep'],
    ['a shorter grace', { ...DROP, grace: '7 days' }, { ...DROP, grace: '1 hour' }, 'shorter-grace'],
    ['a hold that ends earlier', { hold: { until: '2027-06-01' } }, { hold: { until: '2027-01-01' } }, 'shorter-hold'],
    ['detach instead of columnar', { ...SET, retire: 'columnar' }, SET, 'harsher-retire'],
    ['drop instead of detach', SET, { ...SET, retire: 'drop', archive: './a' }, 'harsher-retire'],
    ['truncate instead of detach', SET, { ...SET, retire: 'truncate', archive: './a' }, 'harsher-retire'],
    [
      'no archive any more',
      { purge: { where: 'void' }, archive: './a' },
      { purge: { where: 'void' }, archive: 'none' },
      'weaker-archive',
    ],
    [
      'an archive that is not encrypted',
      { stale: STALE, archive: './a', encryptTo: [RECIPIENT] },
      { stale: STALE, archive: './a' },
      'weaker-archive',
    ],
    ['another condition', { purge: { where: 'a < 1' } }, { purge: { where: 'a < 2' } }, 'other-rows'],
    ['rows of other tables as well', { purge: { where: 'a' } }, { purge: { where: 'a', cascade: true } }, 'other-rows'],
    [
      'a table that is protected no more',
      { purge: { where: 'a', protect: ['b'] } },
      { purge: { where: 'a' } },
      'other-rows',
    ],
    ['groups that are idle for less', { stale: STALE }, { stale: { ...STALE, idle: '3 days' } }, 'shorter-keep'],
    [
      'rows that have been marked for less',
      { purge: { marked: { column: 'd', olderThan: '7 days' } } },
      { purge: { marked: { column: 'd' } } },
      'shorter-keep',
    ],
    ['other rows to mark', { mark: { where: 'a', column: 'd' } }, { mark: { where: 'b', column: 'd' } }, 'other-rows'],
  ])('%s is an objection until it is accepted by the name of the table', async ([, before, now, code]) => {
    const standing = await after(before)
    expect(codes(await judge(now, standing))).toEqual([`${code}:${NAME}`])
    expect(codes(await judge(now, standing, [code]))).toEqual([`${code}:${NAME}`])
    expect(codes(await judge(now, standing, [`${code}:public.others`]))).toEqual([`${code}:${NAME}`])
    // A file that accepts it would accept every later typing error.
    expect(codes(await judge({ ...now, accept: [`${code}:${NAME}`] }, standing))).toEqual([`${code}:${NAME}`])
    const accepted = await judge(now, standing, [`${code}:${NAME}`])
    expect(accepted).toMatchObject({ objections: [], accepted: [`${code}:${NAME}`], differs: true })
  })

  test('is none where it keeps more, or as much', async () => {
    const standing = await after({ ...SET, purge: { where: 'void' }, archive: 'none' })
    const longer = await judge({ ...SET, keep: '3 months', purge: { where: 'void' }, archive: './a' }, standing)
    expect(longer).toMatchObject({ objections: [], differs: true })
    const again = await judge({ ...SET, purge: { where: 'void' }, archive: 'none' }, standing)
    expect(again).toMatchObject({ objections: [], differs: false })
  })

  test('cannot be had by leaving something out first', async () => {
    const standing = await after(SET)
    const without = await after({ partition: { by: 'at', every: 'month' }, retire: 'detach' }, standing)
    expect(without.present.registered?.keep).toEqual({ count: 90, unit: 'day' })
    expect(codes(await judge({ ...SET, keep: '9 days' }, without))).toEqual([`shorter-keep:${NAME}`])
    const purged = await after({ purge: { where: 'a' }, archive: './a' })
    const silent = await after({ purge: { where: 'a' } }, purged)
    expect(codes(await judge({ purge: { where: 'a' }, archive: 'none' }, silent))).toEqual([`weaker-archive:${NAME}`])
  })

  test('concerns rows that were moved, too', async () => {
    const moved = { ...SET, retire: 'move', to: 'cold', toUrl: 'postgres://cold/b', archive: 'none' } as const
    const standing = await after({ ...moved, keepMoved: '7 years' })
    expect(codes(await judge({ ...moved, keepMoved: '7 months' }, standing))).toEqual([`shorter-keep:${NAME}`])
    const without = await after(moved, standing)
    expect(codes(await judge({ ...moved, keepMoved: '7 months' }, without))).toEqual([`shorter-keep:${NAME}`])
  })

  test('is told from what was registered, too', async () => {
    const registered = (await after({ ...SET, keep: '3 years' })).present.registered
    const standing = { ...FRESH, present: { ...FRESH.present, registered } }
    expect(codes(await judge(SET, standing))).toEqual([`shorter-keep:${NAME}`])
  })
})

describe('how a table is partitioned', () => {
  test('is as the policy says, and where it does not say, as it is registered', async () => {
    const { set } = await judge(
      { partition: { by: 'at', every: 'day', timezone: 'Europe/Berlin' }, keep: '1 year' },
      FRESH,
    )
    expect(set).toMatchObject({ column: 'at', kind: 'timestamptz', premake: 14, timezone: 'Europe/Berlin' })
    const standing = { ...FRESH, present: { ...FRESH.present, registered: set } }
    const more = await judge({ partition: { by: 'at', every: 'week', premake: 5 } }, standing)
    expect(more).toMatchObject({ objections: [], set: { ...set, every: { interval: { unit: 'week' } }, premake: 5 } })
  })

  test.for<[partition: NonNullable<PolicyConfig['partition']>, code: string]>([
    [{ by: 'created', every: 'month' }, 'other-key'],
    [{ by: 'at', every: 1_000_000 }, 'other-key'],
    [{ by: 'at', every: 'month', timezone: 'Asia/Tokyo' }, 'other-timezone'],
  ])('cannot be otherwise than its partitions are (%j)', async ([partition, code]) => {
    const standing = await after({ ...SET, partition: { by: 'at', every: 'month', timezone: 'UTC' } })
    expect(codes(await judge({ ...SET, partition }, standing, [`${code}:${NAME}`]))).toEqual([`${code}:${NAME}`])
  })

  test('says how to convert a table that is not partitioned', async () => {
    const standing = { ...FRESH, present: { partitioned: false, key: null, registered: null } }
    const { objections } = await judge({ ...SET, partition: { by: 'at', every: 'month', premake: 4 } }, standing)
    expect(objections).toMatchObject([
      { fix: "Convert it: ebb partition public.events --by at --every '1 month' --keep '90 days' --premake 4" },
    ])
  })
})
