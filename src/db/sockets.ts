import { Socket } from 'node:net'
import { isSource, type Target } from './session.ts'

// When a server or the network goes down silently, connections are not closed: a waiting query fails only when the
// kernel gives up, a quarter of an hour later. Whoever detects that destroys all connections of a run at once, and
// every waiting query fails.

/** The connections that are destroyed together. */
export class Sockets {
  /** With what is called when they are closed. */
  private readonly open = new Map<Socket, () => void>()

  /** The same database, with its connections added to these. */
  through(target: Target): Target {
    if (isSource(target)) return { open: (purpose) => target.open(purpose, this) }
    const config = typeof target === 'string' ? { connectionString: target } : target
    return { ...config, stream: () => this.add(new Socket()) }
  }

  add(socket: Socket): Socket {
    const closed = () => this.open.delete(socket)
    this.open.set(socket, closed)
    return socket.once('close', closed)
  }

  /** It is used by others from now on. */
  remove(socket: Socket): void {
    const closed = this.open.get(socket)
    if (closed !== undefined) socket.off('close', closed)
    this.open.delete(socket)
  }

  /** Running queries fail with `reason`. */
  destroy(reason: Error): void {
    for (const socket of this.open.keys()) socket.destroy(reason)
  }
}
