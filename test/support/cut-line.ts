import type { Socket } from 'node:net'
import { openLine } from './line.ts'
import type { Database } from './test-database.ts'

/** When a line is cut: the server never hears of the COMMIT, or nobody hears that it has been carried out. */
export type CutMoment = 'before the commit' | 'after the commit'

/**
 * A line to the test's database, until the test ends. It is cut at the COMMIT of
 * that number, counted over all its connections, and whole again afterwards.
 */
export class CutLine {
  readonly url: string
  cuts = 0
  private commits = 0
  private due: { readonly number: number; readonly moment: CutMoment } | null = null

  private constructor(url: string) {
    this.url = url
  }

  static async to(database: Database): Promise<CutLine> {
    const url = await openLine(database, (client, upstream) => {
      line.join(client, upstream)
    })
    const line = new CutLine(url)
    return line
  }

  /** So many COMMITs from now. */
  cutAt(number: number, moment: CutMoment): void {
    this.due = { number: this.commits + number, moment }
  }

  private join(client: Socket, upstream: Socket): void {
    const cut = () => {
      this.cuts++
      client.destroy()
    }
    let silent = false
    client.on('data', (message) => {
      const due = isCommit(message) && ++this.commits === this.due?.number ? this.due.moment : null
      if (due === 'before the commit') {
        upstream.destroy()
        return cut()
      }
      if (due === 'after the commit') silent = true
      upstream.write(message)
    })
    upstream.on('data', (message) => {
      if (!silent) return client.write(message)
      cut()
      upstream.destroy()
    })
  }
}

/** A simple query by itself: a client waits for the answer to each of its messages. */
function isCommit(message: Buffer): boolean {
  return message.toString('latin1', 0, 1) === 'Q' && message.toString('latin1', 5).toLowerCase() === 'commit\0'
}
