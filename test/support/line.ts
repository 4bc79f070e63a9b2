import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import type { Database } from './test-database.ts'

/** Another address of the test's database, until the test ends: each connection to it is joined to one with the server. */
export async function openLine(database: Database, join: (client: Socket, upstream: Socket) => void): Promise<string> {
  const target = new URL(database.url)
  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname)
    join(client, upstream)
    for (const [one, other] of bothWays(client, upstream)) {
      one.on('close', () => other.destroy())
      one.on('error', () => other.destroy())
    }
  })
  database.atEnd(async () => void server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = new URL(database.url)
  url.hostname = '127.0.0.1'
  url.port = String((server.address() as AddressInfo).port)
  return url.href
}

/** An address from which every message is so many milliseconds on its way, there and back each. */
export function slowLine(database: Database, milliseconds: number): Promise<string> {
  return openLine(database, (client, upstream) => {
    for (const [one, other] of bothWays(client, upstream))
      one.on('data', (message) => void setTimeout(milliseconds).then(() => other.write(message)))
  })
}

function bothWays(client: Socket, upstream: Socket): readonly (readonly [Socket, Socket])[] {
  return [
    [client, upstream],
    [upstream, client],
  ]
}

/** A line that at some moment goes dead: nothing arrives any more at either end, and neither is told. */
export class DeadLine {
  readonly url: string
  private dead = false

  private constructor(url: string) {
    this.url = url
  }

  static async to(database: Database): Promise<DeadLine> {
    const url = await openLine(database, (client, upstream) => line.join(client, upstream))
    const line = new DeadLine(url)
    return line
  }

  die(): void {
    this.dead = true
  }

  private join(client: Socket, upstream: Socket): void {
    for (const [one, other] of bothWays(client, upstream))
      one.on('data', (message) => {
        if (!this.dead) other.write(message)
      })
  }
}
