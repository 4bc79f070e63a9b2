import { randomInt } from 'node:crypto'

/** What a random test begins from: EBB_TEST_SEED repeats a run, and each run prints what to set it to. */
export function seedFor(purpose: string): number {
  const seed = Number(process.env.EBB_TEST_SEED ?? randomInt(2 ** 31))
  console.log(`${purpose}: EBB_TEST_SEED=${seed}`)
  return seed
}

/** Numbers from 0 to 1 that can be had again. */
export function randomFrom(purpose: string): () => number {
  let state = seedFor(purpose) >>> 0
  // mulberry32, by Tommy Ettinger, who gave it to the public domain.
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
