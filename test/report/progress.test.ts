import { describe, expect, test } from 'vitest'
import type { Emitted as Event } from '../../src/events.ts'
import { progressPrinter } from '../../src/report/progress.ts'
import type { PaceSummary } from '../../src/pacing/summary.ts'
import type { Step } from '../../src/plan/language/step.ts'

const step: Step = {
  kind: 'online',
  key: 'validate',
  title: 'validate the CHECK',
  because: '',
  locks: [],
  cost: '',
  statements: [],
}

/** Half a second passes before each event. */
function printed(events: readonly Event[], isTTY = false, columns = 100): string {
  let text = ''
  let now = 0
  const output = { write: (more: string) => void (text += more), isTTY, columns }
  const { observer, end } = progressPrinter(output, isTTY, () => now)
  for (const event of events) {
    now += 500
    observer(event)
  }
  end()
  return text
}

const waiting = (reason: string): Event => ({ type: 'waiting', reason })

function progress(done: number, what = 'scanning'): Event {
  const figures = { total: 1000, unit: 'blocks', perSecond: 120.4, remainingSeconds: 5 }
  return { type: 'progress', progress: { what, done, ...figures } }
}

test('steps, locks and notes', () => {
  const lock = { attempts: 3, heldMs: 12.4, longestWaitCausedMs: 61 }
  const text = printed([
    { type: 'resumed', runId: '7', done: 2, of: 9 },
    { type: 'step started', step, position: 2, of: 9 },
    { type: 'note', text: 'progress can no longer be read' },
    { type: 'step finished', step, milliseconds: 2345, lock },
    { type: 'step finished', step, milliseconds: 12, lock: null },
  ])
  expect(text).toBe(
    `resuming run 7: 2 of 9 steps are done
step 3 of 9: validate the CHECK
  note: progress can no longer be read
  done in 2.3 s; locked 12 ms at attempt 3, maximum blocking time 61 ms
  done in 12 ms
`,
  )
})

describe('in a log', () => {
  test('a reason to wait is reported once, although its duration grows', () => {
    const reasons = [
      'for pid 4711 (psql), idle in transaction for 1 s',
      'for pid 4711 (psql), idle in transaction for 2 s',
    ]
    expect(printed(reasons.map(waiting))).toBe(`  waiting: ${reasons[0]}\n`)
  })

  test('attempts are not reported', () => {
    expect(printed([waiting('no lock (attempt 1): x'), waiting('no lock (attempt 2): x')])).toBe(
      '  waiting: no lock (attempt 1): x\n',
    )
  })

  test('another reason is another line, and so is another process', () => {
    expect(printed([waiting('for pid 1'), waiting('for pid 2'), waiting('for pid 1')])).toBe(
      '  waiting: for pid 1\n  waiting: for pid 2\n  waiting: for pid 1\n',
    )
  })

  test('the same reason in the next step is reported again', () => {
    const started: Event = { type: 'step started', step, position: 0, of: 1 }
    expect(printed([waiting('for x'), started, waiting('for x')]).match(/waiting/g)).toHaveLength(2)
  })

  test('changed figures make no new lines; rates are compared', () => {
    const figures = { done: 300, total: 1000, unit: 'changes', perSecond: 250 }
    const catchingUp = (arriving: number, remainingSeconds: number | null): Event => {
      const what = `catching up, ${arriving} changes a second arrive`
      return { type: 'progress', progress: { what, ...figures, remainingSeconds } }
    }
    expect(printed([progress(10, 'copying, 1,200 rows kept'), progress(20, 'copying, 2,500 rows kept')])).toBe(
      '  copying, 1,200 rows kept: 1 %, 5 s left (10 of 1,000 blocks, 986 kB/s)\n',
    )
    const at = (perSecond: number, done: number): Event => {
      const figures = { what: 'deleting', done, total: 100, unit: 'rows', perSecond, remainingSeconds: 0 }
      return { type: 'progress', progress: figures }
    }
    expect(printed([at(0, 1), at(50, 100)])).toBe(
      '  deleting: 1 %, a second left (1 of 100 rows)\n  deleting: 100 % (100 of 100 rows, 50/s)\n',
    )
    expect(printed([catchingUp(50, 240), catchingUp(60, 230)])).toBe(
      '  catching up, 50 changes a second arrive, 250/s applied; backlog 700, swap possible in about 4 min\n',
    )
    expect(printed([catchingUp(300, null)])).toContain(
      'backlog 700, at this rate the backlog will not shrink enough to swap',
    )
  })

  test('rows a second stand beside blocks', () => {
    const copied = { what: 'copying', done: 500, total: 1000, unit: 'blocks', perSecond: 100, remainingSeconds: 5 }
    expect(printed([{ type: 'progress', progress: { ...copied, rowsPerSecond: 5_200 } }])).toBe(
      '  copying: 50 %, 5 s left (500 of 1,000 blocks, 819 kB/s, 5,200 rows/s)\n',
    )
  })

  test('work in progress is reported whenever its duration has doubled, and in each step', () => {
    const working = (seconds: number): Event => ({ type: 'working', phase: null, seconds })
    const started: Event = { type: 'step started', step, position: 0, of: 1 }
    const text = printed([...Array.from({ length: 90 }, (_, i) => working(i / 2)), started, working(12)])
    expect(text).toBe(
      '  running for 10 s\n  running for 20 s\n  running for 40 s\nstep 1 of 1: validate the CHECK\n  running for 12 s\n',
    )
  })

  test('progress makes a line for each tenth, and for each phase', () => {
    const text = printed([
      progress(10),
      progress(50),
      progress(110),
      progress(190),
      progress(200),
      progress(210, 'sorting'),
    ])
    expect(text).toBe(
      `  scanning: 1 %, 5 s left (10 of 1,000 blocks, 986 kB/s)
  scanning: 11 %, 5 s left (110 of 1,000 blocks, 986 kB/s)
  scanning: 20 %, 5 s left (200 of 1,000 blocks, 986 kB/s)
  sorting: 21 %, 5 s left (210 of 1,000 blocks, 986 kB/s)
`,
    )
  })
})

describe('on a terminal', () => {
  const CLEAR = '\r\u001b[2K'

  test('work in progress is shown', () => {
    const working = (seconds: number): Event => ({ type: 'working', phase: 'vacuuming indexes', seconds })
    expect(printed([working(2.5), working(3)], true)).toBe(
      `${CLEAR}  vacuuming indexes: running for 2.5 s${CLEAR}  vacuuming indexes: running for 3.0 s${CLEAR}`,
    )
  })

  test('one line is overwritten, and cleared for lasting output', () => {
    const text = printed([progress(10), waiting('for x'), { type: 'note', text: 'n' }], true)
    expect(text).toBe(
      `${CLEAR}  scanning: 1 %, 5 s left (10 of 1,000 blocks, 986 kB/s)` +
        `${CLEAR}  waiting: for x; scanning: 1 %, 5 s left (10 of 1,000 blocks, 986 kB/s)${CLEAR}  note: n\n`,
    )
  })

  test('a pause is shown with its reason beside how far the work is, at least for a second', () => {
    const pacing = (reason: string | null): Event => ({ type: 'pacing', reason, pace: {} as PaceSummary })
    const events = [progress(10), pacing('lag'), progress(10), progress(10), pacing('lag'), pacing(null), pacing(null)]
    const lines = printed(events, true)
      .split(CLEAR)
      .map((line) => line.replace(/scanning.*/, 'scanning'))
    const [work, pause] = ['  scanning', '  waiting: lag; scanning']
    expect(lines).toEqual(['', work, pause, pause, work, pause, pause, work, ''])
    expect(printed(events), 'in a log it is no news').toBe('  scanning: 1 %, 5 s left (10 of 1,000 blocks, 986 kB/s)\n')
  })

  test('wide characters take two columns', () => {
    expect(printed([waiting('for 表の名前🐘x')], true, 24)).toBe(`${CLEAR}  waiting: for 表の名前${CLEAR}`)
    expect(printed([waiting('for 表の名前🐘x')], true, 26)).toBe(`${CLEAR}  waiting: for 表の名前🐘${CLEAR}`)
  })

  test('a line that would wrap is truncated, and nothing is left at the end', () => {
    const text = printed([waiting(`for ${'ü'.repeat(100)}`)], true, 20)
    expect(text).toBe(`${CLEAR}  waiting: for ${'ü'.repeat(4)}${CLEAR}`)
  })
})

test.each([true, false])('control characters in names are escaped (terminal: %s)', (isTTY) => {
  const evil = 'a\u001b[31m\rb'
  const text = printed([{ type: 'note', text: evil }, waiting(evil)], isTTY)
  expect(text).not.toContain('\u001b[31m')
  expect(text).toContain('a\\x1b[31m\\x0db')
})
