import { expect, inject, onTestFinished } from 'vitest'
import { test } from './database.ts'
import { Machine, tooBusy } from './machine.ts'

test('a machine that is free is no excuse', () => {
  expect(tooBusy([3, 4, 30])).toBe(null)
})

test('a machine that was busy once is one', () => {
  expect(tooBusy([3, 64.2, 4])).toMatch(/too busy to judge times \(.* took up to 64 ms\)/)
})

test('times that are met are judged at once', async ({ judgeTimes }) => {
  await judgeTimes(() => expect(1).toBe(1))
})

test('times that are not met fail the test, or skip it with the reason', async () => {
  const machine = new Machine(inject('ground').url, inject('compiled'))
  onTestFinished(() => machine.end())
  const skip = (note: string): never => {
    throw new Error(`skipped, ${note}`)
  }
  const times = () => expect(300).toBeLessThan(250)
  await expect(machine.judge(times, skip)).rejects.toThrow(
    /^(skipped, the machine is too busy .* ms\): )?expected 300 to be less than 250/,
  )
})
