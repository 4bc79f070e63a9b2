import { beforeEach, describe, expect, test, vi } from 'vitest'
import * as ebb from '../../src/index.ts'
import { LOCK_LIMITS } from '../../src/engine/locks/short-locks.ts'
import { DEFAULT_PACING } from '../../src/pacing/limits.ts'
import { ebb as typed } from '../cli/support.ts'

// One thing has one name and one meaning: what is typed and what a program gives come to the same request. Both are
// read here to the point where the engine would be asked; nobody connects anywhere.

const DATABASE = 'postgres://127.0.0.1:1/nowhere'

const { asked, ask } = vi.hoisted(() => {
  const asked: unknown[] = []
  class Asked extends Error {}
  const ask =
    (what: string) =>
    (_target: unknown, ...given: unknown[]) => {
      asked.push([what, ...given])
      throw new Asked('the engine was asked')
    }
  return { asked, ask }
})

vi.mock('../../src/engine/plan-command.ts', async (actual) => ({ ...(await actual()), planCommand: ask('plan') }))
vi.mock('../../src/engine/commands/rotate.ts', async (actual) => ({
  ...(await actual()),
  planRotations: ask('rotate'),
}))
vi.mock('../../src/engine/commands/advise.ts', async (actual) => ({ ...(await actual()), advise: ask('advise') }))
vi.mock('../../src/engine/commands/inspect.ts', async (actual) => ({ ...(await actual()), inspect: ask('inspect') }))
vi.mock('../../src/engine/commands/purge-stale.ts', async (actual) => ({
  ...(await actual()),
  planStaleOf: ask('stale'),
}))
vi.mock('../../src/engine/runs/runs.ts', async (actual) => ({
  ...(await actual()),
  planResumeOf: ask('resume'),
  planAbandonOf: ask('abandon'),
  planRollbackOf: ask('rollback'),
  planRetireOf: ask('retire'),
}))
vi.mock('../../src/engine/runs/status.ts', async (actual) => ({
  ...(await actual()),
  status: ask('status'),
  statusWithRetired: ask('status'),
}))
vi.mock('../../src/engine/purge/marked.ts', () => ({
  readMarkedCondition: async (...[, table, marked]: unknown[]) => JSON.stringify([table, marked]),
}))

beforeEach(() => void asked.splice(0))

/** What the engine was asked, with its defaults in it. */
function lastAsked(): unknown {
  const [given] = asked.splice(0) as unknown[][]
  return given?.map((one) => {
    if (typeof one !== 'object' || one === null) return one
    if ('read' in one && 'name' in one) return one.name
    if (!('journalSchema' in one)) return one
    const {
      journalSchema,
      accept,
      lockLimits = LOCK_LIMITS,
      pacing = DEFAULT_PACING,
      diskFree,
      keepJournal,
    } = one as never
    return { journalSchema, accept, lockLimits, pacing, diskFree, keepJournal }
  })
}

async function fromFlags(words: readonly string[]): Promise<unknown> {
  const { err } = await typed([...words, '--url', DATABASE])
  const request = lastAsked()
  expect(request, err).toBeDefined()
  return request
}

async function fromProgram(call: () => Promise<unknown>): Promise<unknown> {
  const error: unknown = await call().then(
    () => 'nothing was thrown',
    (thrown: unknown) => thrown,
  )
  const request = lastAsked()
  expect(request, String(error)).toBeDefined()
  return request
}

const PACE_WORDS = [
  '--max-blocked',
  '3',
  '--max-replica-lag',
  '16MB',
  '--max-slot-wal',
  'off',
  '--window',
  '22:00-04:00',
]
const MORE_PACE_WORDS = [
  '--window',
  '05:00-06:00 Europe/Berlin',
  '--yield-to-vacuum',
  'any',
  '--pace-file',
  'pace.json',
]
const PACE = {
  maxBlocked: 3,
  maxReplicaLagBytes: 16e6,
  maxSlotWalBytes: null,
  windows: ['22:00-04:00', '05:00-06:00 Europe/Berlin'],
  yieldToVacuum: 'any',
  paceFile: 'pace.json',
} as const
const LOCK_WORDS = ['--lock-timeout', '70', '--deadline', '2 minutes', '--journal-schema', 'book', '--accept', 'x']
const LOCKS = { lockTimeoutMs: 70, deadlineMs: 120_000, journalSchema: 'book', accept: ['x'] } as const
const COPY_WORDS = [
  '--jobs',
  '3',
  '--transport',
  'server',
  '--no-archive',
  '--disk-free',
  '5GB',
  '--retire-after',
  '7 days',
  '--keep-journal',
  '7 years',
]
const COPY = {
  jobs: 3,
  transport: 'server',
  noArchive: true,
  diskFree: 5e9,
  retireAfter: '7 days',
  keepJournal: '7 years',
} as const

describe('flags and options make the same request', () => {
  const CASES: readonly (readonly [words: readonly string[], call: () => Promise<unknown>])[] = [
    [['inspect', '"My"."T"'], () => ebb.inspect(DATABASE, { schema: 'My', name: 'T' })],
    [['status', '--journal-schema', 'book'], () => ebb.status(DATABASE, { journalSchema: 'book' })],
    [['advise', 't', '--older-than', '90 days'], () => ebb.advise(DATABASE, { table: 't', olderThan: '90 days' })],
    [['advise', 't', '--keep', 'a > 1'], () => ebb.advise(DATABASE, { table: 't', keep: 'a > 1' })],
    [
      ['partition', 't', '--by', 'at', '--every', 'month'],
      () => ebb.partition(DATABASE, { table: 't', by: 'at', every: 'month' }),
    ],
    [
      [
        'partition',
        'A.t',
        '--by',
        '"At"',
        '--every',
        '10_000',
        '--keep',
        '90 days',
        '--premake',
        '4',
        ...LOCK_WORDS,
      ].concat(['--timezone', 'Europe/Berlin', '--expire-by', 'at', '--method', 'attach']),
      () =>
        ebb.partition(DATABASE, {
          table: { schema: 'a', name: 't' },
          by: '"At"',
          every: 10_000n,
          keep: '90 days',
          premake: 4,
          timezone: 'Europe/Berlin',
          expireBy: 'at',
          method: 'attach',
          ...LOCKS,
        }),
    ],
    [
      [
        'partition',
        't',
        '--by',
        'at',
        '--every',
        'month',
        '--method',
        'copy',
        ...COPY_WORDS,
        ...LOCK_WORDS,
        ...PACE_WORDS,
      ],
      () =>
        ebb.partition(DATABASE, {
          table: 't',
          by: 'at',
          every: 'month',
          method: 'copy',
          ...COPY,
          ...LOCKS,
          pace: { maxBlocked: 3, maxReplicaLagBytes: 16e6, maxSlotWalBytes: null, windows: ['22:00-04:00'] },
        }),
    ],
    [['rebuild', 't', '--keep-all'], () => ebb.rebuild(DATABASE, { table: 't', keep: null })],
    [
      ['rebuild', 't', '--keep', 'a > 1', ...COPY_WORDS, ...LOCK_WORDS, ...PACE_WORDS, ...MORE_PACE_WORDS],
      () => ebb.rebuild(DATABASE, { table: 't', keep: 'a > 1', ...COPY, ...LOCKS, pace: PACE }),
    ],
    [['split', 't'], () => ebb.split(DATABASE, { table: 't' })],
    [
      ['split', 't', 'a.h', '--every', '7 days', '--keep', '1 year', ...COPY_WORDS, ...LOCK_WORDS],
      () =>
        ebb.split(DATABASE, {
          table: 't',
          partition: { schema: 'a', name: 'h' },
          every: '7 days',
          keep: '1 year',
          ...COPY,
          ...LOCKS,
        }),
    ],
    [['rotate', '--all'], () => ebb.rotate(DATABASE, { tables: 'all' })],
    [
      [
        'rotate',
        'a',
        'b.c',
        '--keep',
        '30 days',
        '--retire',
        'detach',
        '--no-archive',
        '--keep-journal',
        '7 years',
        ...LOCK_WORDS,
        ...PACE_WORDS,
      ],
      () =>
        ebb.rotate(DATABASE, {
          tables: ['a', { schema: 'b', name: 'c' }],
          keep: '30 days',
          retire: 'detach',
          noArchive: true,
          keepJournal: '7 years',
          ...LOCKS,
          pace: { maxBlocked: 3, maxReplicaLagBytes: 16e6, maxSlotWalBytes: null, windows: ['22:00-04:00'] },
        }),
    ],
    [
      ['mark', 't', '--where', 'a', '--set', 'gone'],
      () => ebb.mark(DATABASE, { table: 't', where: 'a', column: 'gone', deadlineMs: undefined as unknown as number }),
    ],
    [
      ['mark', 't', '--where', 'a', '--set', '"Gone"', '--all-rows', '--no-vacuum', '--deadline', '90', ...PACE_WORDS],
      () =>
        ebb.mark(DATABASE, {
          table: 't',
          where: 'a',
          column: '"Gone"',
          allRows: true,
          vacuum: false,
          deadlineMs: 90_000,
          pace: { maxBlocked: 3, maxReplicaLagBytes: 16e6, maxSlotWalBytes: null, windows: ['22:00-04:00'] },
        }),
    ],
    [['purge', 't', '--where', 'a'], () => ebb.purge(DATABASE, { table: 't', where: 'a' })],
    [
      [
        'purge',
        't',
        '--where',
        'a',
        '--no-archive',
        '--cascade',
        '--protect',
        'b',
        '--protect',
        'c.d',
        '--all-rows',
      ].concat([
        '--order-by',
        '"At"',
        '--no-vacuum',
        '--accept',
        'x',
        '--accept',
        'y',
        '--target-ms',
        '30',
        '--pause-ms',
        '5',
        '--keep-journal',
        '2000 weeks',
      ]),
      () =>
        ebb.purge(DATABASE, {
          table: 't',
          where: 'a',
          noArchive: true,
          cascade: true,
          protect: ['b', { schema: 'c', name: 'd' }],
          allRows: true,
          orderBy: '"At"',
          vacuum: false,
          accept: ['x', 'y'],
          pace: { targetMs: 30, pauseMs: 5 },
          keepJournal: '2000 weeks',
        }),
    ],
    [
      ['purge', 't', '--from-candidates', '12', '--approved-by', 'Ann', '--ticket', 'T-1'],
      () => ebb.purge(DATABASE, { table: 't', candidates: { set: 12n, approvedBy: 'Ann', ticket: 'T-1' } }),
    ],
    [
      ['purge', 't', '--marked', '"Gone"', '--older-than', '30 days'],
      () => ebb.purge(DATABASE, { table: 't', marked: { column: '"Gone"', olderThan: '30 days' } }),
    ],
    [
      [
        'purge',
        't',
        '--stale-group',
        'g',
        '--activity',
        'at',
        '--idle',
        '90 days',
        '--flag',
        's.p."Gone"',
        '--cascade',
        '--keep-journal',
        '14 months',
      ],
      () =>
        ebb.purgeStale(DATABASE, {
          table: 't',
          group: 'g',
          activity: 'at',
          idle: '90 days',
          flag: { table: { schema: 's', name: 'p' }, column: '"Gone"' },
          cascade: true,
          keepJournal: '14 months',
        }),
    ],
    [
      ['purge', 't', '--where', 'a', '--candidates', ...PACE_WORDS],
      () =>
        ebb.candidates(DATABASE, {
          table: 't',
          where: 'a',
          pace: { maxBlocked: 3, maxReplicaLagBytes: 16e6, maxSlotWalBytes: null, windows: ['22:00-04:00'] },
        }),
    ],
    [
      ['view', 't', '--name', 'v', '--hide-marked', '"Gone"', '--expired', 'a', '--by', 'at', '--keep', '1 year'],
      () =>
        ebb.view(DATABASE, {
          table: 't',
          name: 'v',
          hideMarked: '"Gone"',
          expired: 'a',
          keep: { by: 'at', interval: '1 year' },
        }),
    ],
    [
      ['resume', ...PACE_WORDS],
      () =>
        ebb.resume(DATABASE, {
          pace: {
            ...PACE,
            windows: ['22:00-04:00'],
            yieldToVacuum: 'wraparound',
            paceFile: undefined as unknown as string,
          },
        }),
    ],
    [['abandon', '7', '--deadline', '5'], () => ebb.abandon(DATABASE, { run: 7, deadlineMs: 5_000 })],
    [['rollback', '7', ...LOCK_WORDS], () => ebb.rollback(DATABASE, { run: '7', ...LOCKS })],
    [['retire', '7'], () => ebb.retire(DATABASE, { run: 7n })],
  ]
  test.for(CASES)('%j', async ([words, call]) => {
    expect(await fromProgram(call)).toEqual(await fromFlags(words))
  })
})

/** What a program that is not checked by TypeScript may give. */
type Given = Readonly<Record<string, unknown>>
type Call = (database: string, options: never) => Promise<unknown>

const call = (command: unknown, options: Given) => () => (command as Call)(DATABASE, options as never)

describe('the same is rejected, with all errors at once', () => {
  const T = { table: 't' }
  const P = { ...T, by: 'at', every: 'month' }
  const W = { ...T, where: 'a' }
  const P_WORDS = ['partition', 't', '--by', 'at', '--every', 'month']
  const W_WORDS = ['purge', 't', '--where', 'a']
  const CASES: readonly (readonly [words: readonly string[], call: () => Promise<unknown>, says: readonly RegExp[]])[] =
    [
      [['advise', 't', '--keep', ' '], call(ebb.advise, { ...T, keep: ' ' }), [/the condition is empty/]],
      [
        ['advise', 't', '--keep', 'a', '--older-than', '1 day'],
        call(ebb.advise, { ...T, keep: 'a', olderThan: '1 day' }),
        [/keep: it cannot be combined with (--older-than|olderThan)/],
      ],
      [
        ['partition', 't'],
        call(ebb.partition, T),
        [/missing required option (--)?by/, /missing required option (--)?every/],
      ],
      [
        ['partition', 'a b', '--by', '', '--every', '90d', '--keep', 'x', '--premake', '1001', '--timezone', '+2'],
        call(ebb.partition, { table: 'a b', by: '', every: '90d', keep: 'x', premake: 1001, timezone: '+2' }),
        [
          /table.*not a table name/,
          /by: .*not a name/,
          /every: .*not an interval/,
          /keep: /,
          /premake: /,
          /timezone: /,
        ],
      ],
      [[...P_WORDS, '--method', 'magic'], call(ebb.partition, { ...P, method: 'magic' }), [/'magic' is not a method/]],
      ...(
        [
          [['--jobs', '2'], { jobs: 2 }],
          [['--no-archive'], { noArchive: true }],
          [['--disk-free', '5GB'], { diskFree: 5e9 }],
          [['--retire-after', '7 days'], { retireAfter: '7 days' }],
          [['--keep-journal', '7 years'], { keepJournal: '7 years' }],
          [['--max-active', '3'], { pace: { maxActive: 3 } }],
        ] as const
      ).map(
        ([words, more]) =>
          [
            [...P_WORDS, ...words],
            call(ebb.partition, { ...P, ...more }),
            [/requires (--method|method: 'copy')/],
          ] as const,
      ),
      [[...P_WORDS, '--lock-timeout', '0'], call(ebb.partition, { ...P, lockTimeoutMs: 0 }), [/lock-?timeout(Ms)?: /i]],
      [[...P_WORDS, '--deadline', '0'], call(ebb.partition, { ...P, deadlineMs: 0 }), [/deadline(Ms)?: /]],
      [[...P_WORDS, '--journal-schema', ''], call(ebb.partition, { ...P, journalSchema: '' }), [/not a name/]],
      [['rebuild', 't'], call(ebb.rebuild, T), [/missing required option (--)?keep/]],
      [
        ['rebuild', 't', '--keep-all', '--jobs', '33', '--transport', 'pigeon', '--disk-free', 'much'],
        call(ebb.rebuild, { ...T, keep: null, jobs: 33, transport: 'pigeon', diskFree: 'much' }),
        [/jobs: '33' is not a whole number/, /'pigeon' is not a transport/, /is not a number of bytes/],
      ],
      [
        ['rebuild', 't', '--keep-all', '--target-ms', '30'],
        call(ebb.rebuild, { ...T, keep: null, pace: { targetMs: 30 } }),
        [/target-ms|targetMs/],
      ],
      [
        ['rebuild', 't', '--keep-all', '--window', 'night', '--max-blocked', 'few', '--yield-to-vacuum', 'x'],
        call(ebb.rebuild, { ...T, keep: null, pace: { windows: ['night'], maxBlocked: -1, yieldToVacuum: 'x' } }),
        [/windows?: 'night' is not a time window/, /max-?blocked: /i, /yield-?to-?vacuum: /i],
      ],
      [['rotate'], call(ebb.rotate, { tables: [] }), [/tables.*: no table is named/]],
      [['rotate'], call(ebb.rotate, {}), [/tables.*: no table is named/]],
      [
        ['rotate', '--all', '--forget'],
        call(ebb.rotate, { tables: 'all', forget: true }),
        [/forget: cannot be used with/],
      ],
      [
        ['rotate', 'a', '--forget', '--keep-journal', '7 years'],
        call(ebb.rotate, { tables: ['a'], forget: true, keepJournal: '7 years' }),
        [/forget: cannot be used with/],
      ],
      [
        ['rotate', 'a', '--keep-journal', '13 months'],
        call(ebb.rotate, { tables: ['a'], keepJournal: '13 months' }),
        [/keep-?journal: the journal is kept for 400 days anyway/i],
      ],
      [
        [...W_WORDS, '--keep-journal', '7000 years'],
        call(ebb.purge, { ...W, keepJournal: '7000 years' }),
        [/keep-?journal: the journal is kept for 100 years at most/i],
      ],
      [
        ['rotate', 'a', '--retire', 'lose', '--keep', '90d'],
        call(ebb.rotate, { tables: ['a'], retire: 'lose', keep: '90d' }),
        [/'lose' is not a way/, /'90d' is not an interval/],
      ],
      [
        ['mark', 't'],
        call(ebb.mark, T),
        [/missing required option (--)?where/, /missing required option (--set|column)/],
      ],
      [['purge', 't'], call(ebb.purge, T), [/missing required option (--)?where/]],
      [[...W_WORDS, '--marked', 'b'], call(ebb.purge, { ...W, marked: { column: 'b' } }), [/only one of/]],
      [
        ['purge', 't', '--from-candidates', '1', '--order-by', 'a'],
        call(ebb.purge, { ...T, candidates: { set: 1 }, orderBy: 'a' }),
        [/in the order of its keys/],
      ],
      [
        [...W_WORDS, '--approved-by', 'Ann'],
        call(ebb.purge, { ...W, candidates: { approvedBy: 'Ann' } }),
        [/(approved-by|approvedBy): it requires/],
      ],
      [
        [...W_WORDS, '--older-than', '1 day'],
        call(ebb.purge, { ...W, marked: { olderThan: '1 day' } }),
        [/(older-than|olderThan): it requires/],
      ],
      [[...W_WORDS, '--sample', '3'], call(ebb.purge, { ...W, sample: 3 }), [/sample: /]],
      [
        ['purge', 't', '--from-candidates', '1.5'],
        call(ebb.purge, { ...T, candidates: { set: 1.5 } }),
        [/whole number/],
      ],
      [
        ['purge', 't', '--stale-group', 'g', '--flag', 'nothing'],
        call(ebb.purgeStale, { ...T, group: 'g', flag: 'nothing' }),
        [/required option (--)?activity/, /required option (--)?idle/, /'nothing' is not a table and column/],
      ],
      [
        [...W_WORDS, '--candidates', '--cascade', '--order-by', 'b'],
        call(ebb.candidates, { ...W, cascade: true, orderBy: 'b' }),
        [/cascade: /, /order-by|orderBy: /],
      ],
      [['view', 't'], call(ebb.view, T), [/nothing is to be hidden/]],
      [['view', 't', '--by', 'a'], call(ebb.view, { ...T, keep: { by: 'a' } }), [/go together/]],
      [['view', 't', '--hide-marked', ''], call(ebb.view, { ...T, hideMarked: '' }), [/not a name/]],
      [['retire'], call(ebb.retire, {}), [/run>?: no run is named/]],
      [['abandon', 'a b'], call(ebb.abandon, { run: 'a b' }), [/run.*: "a b" is not a table name/]],
      [
        ['abandon', '--max-active', '3'],
        call(ebb.abandon, { pace: { maxActive: 3 } }),
        [/max-active|pace: there is no/],
      ],
      [['rebuild', 't', '--keep-al'], call(ebb.rebuild, { ...T, keepAl: true, keep: null }), [/keep-al|keepAl/]],
      [
        ['rebuild', 't', '--keep-all', '--archive', '/a'],
        call(ebb.rebuild, { ...T, keep: null, archive: '/a' }),
        [/archive: no row is left out/],
      ],
      [
        ['split', 't', '--keep', '1 day', '--archive', '/a', '--no-archive'],
        call(ebb.split, { ...T, keep: '1 day', archive: '/a', noArchive: true }),
        [/it contradicts/],
      ],
      [['rebuild', 't', '--archive', 's3:x'], call(ebb.rebuild, { ...T, keep: null, archive: 's3:x' }), [/archive: /]],
    ]
  test.for(CASES)('%j', async ([words, call, says]) => {
    const { code, err } = await typed([...words, '--url', DATABASE])
    expect({ code, err }).toEqual({ code: 2, err: expect.any(String) as string })
    const error: unknown = await call().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ebb.UsageError)
    for (const pattern of says) {
      expect(err).toMatch(pattern)
      expect((error as Error).message).toMatch(pattern)
    }
    expect(asked).toEqual([])
  })

  test.for<[string[], RegExp]>([
    [['candidates', '--approved-by', 'Ann'], /--approved-by: it requires <set>/],
    [['candidates', '--drop'], /--drop: it requires <set>/],
    [['candidates', '1', '--drop', '--ticket', 'T'], /--ticket: cannot be used with --drop/],
    [['purge', '--from-candidates', '1', '--export', 'keys.csv'], /--export: it requires --candidates/],
    [['purge', 't', '--where', 'a', '--flag', 'b.c'], /--flag: it requires --stale-group/],
    [['purge', 't', '--marked', 'a', '--ticket', 'T'], /--ticket: it requires --from-candidates/],
  ])('as flags: %j', async ([words, says]) => {
    const { code, err } = await typed([...words, '--url', DATABASE])
    expect({ code, err }).toEqual({ code: 2, err: expect.stringMatching(says) as string })
  })

  test.for<[string, () => Promise<unknown>, RegExp]>([
    ['no options', call(ebb.partition, undefined as never), /missing required option table/],
    ['no database', () => ebb.status(undefined as never), /^no database is named/],
    ['an empty one', () => ebb.rotate('', { tables: 'all' }), /^no database is named/],
    ['a number for a name', call(ebb.partition, { ...P, by: 5 }), /by: .*expected text/],
    ['no object', call(ebb.purge, { ...T, marked: 'deleted_at' }), /marked: .*column, olderThan/],
    ['neither true nor false', call(ebb.purge, { ...W, noArchive: 'yes' }), /noArchive: .*true or false/],
    ['half a name of a table', call(ebb.inspect, undefined as never), /table/],
    ['half a number of a set', () => ebb.sampleCandidates(DATABASE, 1.5, 3), /set: '1.5' is not a whole number/],
    ['no rows', () => ebb.sampleCandidates(DATABASE, 1, 0), /rows: '0' is not a whole number/],
    ['an approval misspelt', () => ebb.approveCandidates(DATABASE, 1, { by: 'Ann' } as never), /by: there is no such/],
    ['one code that is no list', call(ebb.purge, { ...W, accept: 'archive' }), /accept: /],
    ['a table that is no list', call(ebb.rotate, { tables: 'events' }), /tables: /],
    [
      'a value that holds a secret',
      call(ebb.mark, { ...W, column: 'x', pace: { healthUrl: 'secret' } }),
      /healthUrl: /,
    ],
  ])('from a program: %s', async ([, call, says]) => {
    const error: unknown = await call().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ebb.UsageError)
    expect((error as Error).message).toMatch(says)
    expect((error as Error).message).not.toContain('secret')
  })
})
