import { expect, test } from 'vitest'
import { TransportChoice } from '../../src/engine/copy/transport-choice.ts'

/** What a choice says of a copy of `total` blocks in chunks of 100, and by which transports it had them carried. */
function carried(
  wanted: 'auto' | 'copy' | 'server',
  total: number,
  millisecondsPerBlock: { copy: number; server: number },
) {
  const choice = new TransportChoice(wanted, total)
  const by: string[] = []
  const said: string[] = []
  for (let done = 0; done < total; done += 100) {
    by.push(choice.next)
    const note = choice.measured(100, 100 * millisecondsPerBlock[choice.next])
    if (note !== null) said.push(note)
  }
  return { by, said, made: choice.made }
}

const TRIED = ['server', 'copy', 'server', 'copy', 'server', 'copy', 'server', 'copy']

test('auto tries both on as many chunks, uses the faster one, and says so', () => {
  for (const [times, faster] of [
    [{ copy: 2, server: 3 }, 'copy'],
    [{ copy: 3, server: 2 }, 'server'],
  ] as const) {
    const { by, said, made } = carried('auto', 2_000, times)
    expect(by).toEqual([...TRIED, ...Array<string>(12).fill(faster)])
    expect(said).toEqual([`transport ${faster}: 1.50 times as fast here as the other`])
    expect(made).toBe(true)
  }
})

test('the first chunk of each does not count', () => {
  const choice = new TransportChoice('auto', 1_000_000)
  for (const milliseconds of [900, 10, 10, 20, 10, 20, 10, 20]) choice.measured(100, milliseconds)
  expect(choice.next).toBe('server')
})

test('auto does not compare for a short copy', () => {
  const { by, said } = carried('auto', 1_900, { copy: 0.1, server: 1 })
  expect(new Set(by)).toEqual(new Set(['server']))
  expect(said).toEqual([expect.stringMatching(/too short to compare/)])
})

test.for(['copy', 'server'] as const)('%s is used as requested from the first chunk on, without a note', (wanted) => {
  const { by, said, made } = carried(wanted, 2_000, { copy: 2, server: 3 })
  expect({ by: new Set(by), said, made }).toEqual({ by: new Set([wanted]), said: [], made: true })
})
