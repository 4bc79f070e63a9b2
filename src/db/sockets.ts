import { Socket } from 'node:net'
import type { Target } from './session.ts'

// When a server or the network goes down silently, connections are not closed: a waiting query fails only when the
// kernel gives up, a quarter of an hour later. Whoever detects that destroys all connections of a run at once, and
// every waiting query fails.

/** The connections that are destroyed together. */
export class Sockets {
  private readonly open = new Set<Socket>()

  /** The same database, with its connections added to these. */
  through(target: Target): Target {
    const config = typeof target === 'string' ? { connectionString: target } : target
    return { ...config, stream: () => this.add(new Socket()) }
  }

  /** Running queries fail with `reason`. */
  destroy(reason: Error): void {
    for (const socket of this.open) socket.destroy(reason)
  }

  private add(socket: Socket): Socket {
    this.open.add(socket)
    socket.once('close', () => this.open.delete(socket))
    return socket
  }
}
