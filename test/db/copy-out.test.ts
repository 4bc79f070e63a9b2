import { once } from 'node:events'
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { CopyOut } from '../../src/db/copy-out.ts'
import type { Session } from '../../src/db/session.ts'
import { test } from '../support/database.ts'

describe('the received data equals the sent data', () => {
  // Some hundred reads of the socket, of which every few end within the head of a row.
  test('many short rows', async ({ database }) => {
    const session = await database.session('copy')
    const rows = 400_000
    const copied = await text(out(session, `select n, repeat('x', n % 40) from generate_series(1, ${rows}) n`))
    const expected = Array.from({ length: rows }, (_, i) => `${i + 1}\t${'x'.repeat((i + 1) % 40)}\n`).join('')
    expect(copied === expected).toBe(true)
  })

  test('rows of many network reads each', async ({ database }) => {
    const session = await database.session('copy')
    const copied = await text(out(session, `select repeat(n::text, 3000000) from generate_series(1, 3) n`))
    expect(copied === ['1', '2', '3'].map((digit) => `${digit.repeat(3_000_000)}\n`).join('')).toBe(true)
  })

  test('empty rows, and no rows at all', async ({ database }) => {
    const session = await database.session('copy')
    expect(await text(out(session, 'select from generate_series(1, 3)'))).toBe('\n\n\n')
    expect(await text(out(session, 'select 1 where false'))).toBe('')
  })

  test('rows with notices in between, which are received', async ({ database }) => {
    const session = await database.session('copy')
    await session.query(`set client_min_messages = notice`)
    await session.query(`create function pg_temp.told(n int) returns int language plpgsql as
      $$ begin raise notice 'row %', n; return n; end $$`)
    const heard: string[] = []
    session.on('notice', ({ message = '' }) => heard.push(message))
    const copied = await text(out(session, 'select pg_temp.told(n) from generate_series(1, 20000) n'))
    const numbers = Array.from({ length: 20_000 }, (_, i) => i + 1)
    expect(copied === numbers.map((n) => `${n}\n`).join('')).toBe(true)
    expect(heard).toEqual(numbers.map((n) => `row ${n}`))
  })
})

describe('the session can be used again', () => {
  test('after the last row', async ({ database }) => {
    const session = await database.session('copy')
    await text(out(session, 'select 1'))
    await expectUsable(session)
  })

  test('after an error in the middle, which is reported', async ({ database }) => {
    const session = await database.session('copy')
    const copied = text(out(session, 'select 1 / (100000 - n) from generate_series(1, 200000) n'))
    await expect(copied).rejects.toThrow('division by zero')
    await expectUsable(session)
  })

  test('after an error before the first row', async ({ database }) => {
    const session = await database.session('copy')
    await expect(text(out(session, 'select * from nowhere'))).rejects.toThrow('nowhere')
    await expectUsable(session)
  })

  // The error and the head of the message after it share a read, of which the next one brings the rest.
  test.for([1, 2, 3, 4, 5])('after an error, when a read ends %i bytes after it', async (bytes, { database }) => {
    const session = await database.session('copy')
    cutLastMessage(session, bytes)
    await expect(text(out(session, 'select 1 / (3 - n) from generate_series(1, 9) n'))).rejects.toThrow('division')
    await expectUsable(session)
  })

  test('after the reader has stopped', async ({ database }) => {
    const session = await database.session('copy')
    const stream = out(session, `select repeat('x', 1000) from generate_series(1, 100000)`)
    await once(stream, 'readable')
    await sleep(100)
    stream.destroy()
    await expectUsable(session)
  })
})

test('no more is read than the consumer takes', async ({ database }) => {
  const session = await database.session('copy')
  const { stream: socket } = (session as unknown as { connection: { stream: Socket } }).connection
  const before = socket.bytesRead
  const stream = out(session, `select repeat('x', 1000) from generate_series(1, 50000)`)
  await once(stream, 'readable')
  await sleep(300)
  expect(socket.bytesRead - before).toBeLessThan(1_000_000)
  expect((await text(stream)).length).toBe(50_000 * 1_001)
})

test('a session lost in the middle ends the stream', async ({ database }) => {
  const session = await database.session('copy')
  const stream = out(session, `select repeat('x', 1000) from generate_series(1, 1000000)`)
  await once(stream, 'readable')
  // Waited for before it comes: a rejection that nobody listens to yet would end the run.
  const lost = expect(text(stream)).rejects.toThrow(/terminat/i)
  await database.terminate('copy')
  await lost
})

/** `ReadyForQuery`, the last thing the server says, is as long as this, with the state of the transaction at its end. */
const LAST_MESSAGE_BYTES = 6
const LAST_MESSAGE = Buffer.from('Z\0\0\0\x05')

/** As if all that answers a query came by two reads of the socket, the first ending so many bytes into the last message. */
function cutLastMessage(session: Session, bytes: number): void {
  const { stream } = session.connection
  const emit = stream.emit.bind(stream) as (event: string, ...words: unknown[]) => boolean
  let answer = Buffer.alloc(0)
  stream.emit = ((event: string, ...words: unknown[]) => {
    const [chunk] = words
    if (event !== 'data' || !Buffer.isBuffer(chunk)) return emit(event, ...words)
    answer = Buffer.concat([answer, chunk])
    const last = answer.length - LAST_MESSAGE_BYTES
    if (!answer.subarray(last, -1).equals(LAST_MESSAGE)) return true
    const pieces = [answer.subarray(0, last + bytes), answer.subarray(last + bytes)]
    answer = Buffer.alloc(0)
    return pieces.map((piece) => emit('data', Buffer.from(piece))).every(Boolean)
  }) as typeof stream.emit
}

function out(session: Session, query: string): CopyOut {
  return session.query(new CopyOut(`copy (${query}) to stdout`))
}

async function expectUsable(session: Session): Promise<void> {
  expect((await session.query('select 42 as n')).rows).toEqual([{ n: 42 }])
}
