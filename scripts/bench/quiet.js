import { cpus } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

// Whether the machine had nothing else to do. Numbers of a busy one are about its other work; no table is made of them.

/** Of the processors' time, how much others may use while the benchmark waits. */
const MOST_BUSY = 0.1
/** How many times as long as in its best round a contestant may take in another. */
const MOST_SPREAD = 1.3
/** Below this many seconds a spread says nothing. */
const LEAST_SECONDS = 0.2

const LOOK_MS = 2_000

/** The share of all processors' time that is used while this process waits. */
export async function busyShare(milliseconds = LOOK_MS) {
  const before = times()
  await sleep(milliseconds)
  const after = times()
  const [all, idle] = [after.all - before.all, after.idle - before.idle]
  return all === 0 ? 0 : (all - idle) / all
}

function times() {
  const each = cpus().map(({ times: { user, nice, sys, idle, irq } }) => ({
    all: user + nice + sys + idle + irq,
    idle,
  }))
  return each.reduce((sum, one) => ({ all: sum.all + one.all, idle: sum.idle + one.idle }), { all: 0, idle: 0 })
}

/**
 * Why the figures are not to be used; empty where they are. Pure.
 *
 * @param busy shares of time that others used, each while the benchmark waited
 * @param rounds by contestant, seconds in each round
 */
export function disturbances(busy, rounds) {
  const worst = Math.max(0, ...busy)
  const wide = Object.entries(rounds)
    .map(([name, seconds]) => ({
      name,
      least: Math.min(...seconds),
      spread: Math.max(...seconds) / Math.min(...seconds),
    }))
    .filter(({ least, spread }) => least > LEAST_SECONDS && spread > MOST_SPREAD)
  return [
    ...(worst > MOST_BUSY
      ? [`others used up to ${Math.round(100 * worst)} % of the processors while the benchmark waited`]
      : []),
    ...wide.map(
      ({ name, spread }) => `${name}: the slowest round took ${spread.toFixed(2)} times as long as the fastest`,
    ),
  ]
}

/** Says so, and returns false, where no table may be made of the figures. EBB_BENCH_BUSY=1 makes one all the same. */
export function mayTell(busy, rounds) {
  const reasons = disturbances(busy, rounds)
  if (reasons.length === 0) return true
  console.log(`\nThe machine was not quiet:\n${reasons.map((reason) => `  ${reason}`).join('\n')}`)
  if (process.env.EBB_BENCH_BUSY === '1') return true
  console.log('No table is made of this. Repeat it when nothing else runs, or take it as it is: EBB_BENCH_BUSY=1')
  process.exitCode = 1
  return false
}
