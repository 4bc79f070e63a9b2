import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { inject, onTestFinished } from 'vitest'
import type { RotateRequest } from '../../src/engine/commands/rotate.ts'
import type { RestoreOrder } from '../../src/engine/restore/restoring.ts'
import type { LockLimits } from '../../src/engine/locks/short-locks.ts'
import type { CopySizes } from '../../src/engine/copy/sizes.ts'
import type { CandidateRequest } from '../../src/plan/purge/candidates.ts'
import type { MarkRequest } from '../../src/plan/purge/mark.ts'
import type { PurgeRequest } from '../../src/plan/purge/request.ts'
import type { RebuildRequest } from '../../src/plan/copy/rebuild.ts'
import type { PartitionRequest } from '../../src/plan/language/policy.ts'
import { toStored } from '../../src/plan/language/stored.ts'
import type { TableName } from '../../src/sql/names.ts'
import { until } from './until.ts'

/** What a tool in a process of its own is to do. */
export interface Errand {
  readonly command:
    | 'partition'
    | 'rebuild'
    | 'purge'
    | 'candidates'
    | 'mark'
    | 'resume'
    | 'abandon'
    | 'rollback'
    | 'retire'
    | 'restore'
    | 'rotate'
  readonly url: string
  readonly table: TableName
  /** Of `partition`, of `rebuild` and of `purge`. */
  readonly request?: PartitionRequest
  readonly rebuild?: RebuildRequest
  readonly purge?: PurgeRequest
  readonly candidates?: CandidateRequest
  readonly mark?: MarkRequest
  readonly restore?: RestoreOrder
  readonly rotate?: RotateRequest
  /** Of a purge, or what works like one: each batch has so many rows. */
  readonly batchRows?: number
  readonly options?: { readonly lockLimits?: LockLimits; readonly copySizes?: CopySizes }
  /** `step started: swap` or `step finished: swap`: dies by SIGKILL at that moment. */
  readonly dieAt?: string
  /** Dies by SIGKILL so many milliseconds after it has sent its statement of that number, over all its sessions. */
  readonly dieAtStatement?: { readonly number: number; readonly afterMs: number }
}

/** One line of what the tool says. */
export interface Said {
  readonly type: string
  readonly key?: string | null
  readonly reason?: string | null
  /** Sent so far, over all its sessions. */
  readonly statements?: number
  readonly message?: string
  readonly kind?: string | null
}

/** Starts the tool; it is killed when the test ends. */
export function startTool(errand: Errand): Tool {
  const child = spawn(
    process.execPath,
    [join(inject('compiled'), 'tool-process.js'), JSON.stringify(toStored(errand))],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  onTestFinished(() => void child.kill('SIGKILL'))
  return new Tool(child)
}

/** The tool at work, somewhere else. */
class Tool {
  readonly said: Said[] = []
  private readonly child: ChildProcess
  private readonly ending: Promise<unknown[]>

  constructor(child: ChildProcess) {
    this.child = child
    this.ending = once(child, 'close')
    if (child.stdout === null) throw new Error('no pipe to the tool')
    createInterface({ input: child.stdout }).on('line', (line) => this.said.push(JSON.parse(line) as Said))
  }

  /** Comes back when the tool has said something of the kind. */
  async says(type: string, key?: string): Promise<void> {
    await until(() => this.said.some((said) => said.type === type && (key === undefined || said.key === key)), {
      what: `the tool to say ${type} ${key ?? ''}`,
    })
  }

  signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    this.child.kill(signal)
  }

  /** How it ended: an exit code, or the signal it died from. */
  async end(): Promise<number | string> {
    const [code, signal] = (await this.ending) as [number | null, string | null]
    return code ?? signal ?? 'neither a code nor a signal'
  }
}
