import { Socket } from 'node:net'
import type { Target } from './session.ts'

// A server that vanishes (its machine, or the network in between, is gone
// without a word) closes no connection: who waits for an answer waits until the
// kernel gives up, a quarter of an hour later. Whoever finds out that nobody
// answers any more breaks all connections of a run at once, and every query that waits fails.

/** The connections that are given up together. */
export class Sockets {
  private readonly open = new Set<Socket>()

  /** The same place; what is connected to it belongs to these. */
  through(target: Target): Target {
    const config = typeof target === 'string' ? { connectionString: target } : target
    return { ...config, stream: () => this.add(new Socket()) }
  }

  /** Queries under way fail with `reason`. */
  destroy(reason: Error): void {
    for (const socket of this.open) socket.destroy(reason)
  }

  private add(socket: Socket): Socket {
    this.open.add(socket)
    socket.once('close', () => this.open.delete(socket))
    return socket
  }
}
