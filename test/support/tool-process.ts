import pg from 'pg'
import type { EngineOptions } from '../../src/engine/options.ts'
import { rotate } from '../../src/engine/commands/rotate.ts'
import { restoreRows } from '../../src/engine/restore/restoring.ts'
import { abandon, resume, retire, rollback } from '../../src/engine/runs/runs.ts'
import { exitCodeOf } from '../../src/cli/exit-codes.ts'
import { EbbError } from '../../src/errors.ts'
import { fromStored } from '../../src/plan/language/stored.ts'
import type { Event } from '../../src/events.ts'
import { batchesOf } from './batches.ts'
import type { Errand, Said } from './process.ts'
import { mark, partition, purge, rebuild, writeCandidates } from './commands.ts'

// The tool in a process of its own, so that it can be killed: does one errand, says in lines
// of JSON what happens, and dies by its own hand where the errand says so (see process.ts).

const errand = fromStored(JSON.parse(process.argv[2] ?? '')) as Errand

/** Statements sent so far, over all sessions. */
let statements = 0

try {
  countStatements(errand)
  await run(errand, { journalSchema: 'ebb', observer, signal: new AbortController().signal, ...errand.options })
  say({ type: 'done' })
} catch (error) {
  say({
    type: 'failed',
    message: error instanceof Error ? error.message : String(error),
    kind: error instanceof EbbError ? error.kind : null,
  })
  process.exitCode = exitCodeOf(error instanceof EbbError ? error.kind : 'bug')
}

async function run(errand: Errand, options: EngineOptions): Promise<void> {
  const { command, url, table, request, rebuild: rebuilt, purge: purged } = errand
  switch (command) {
    case 'partition':
      if (request === undefined) throw new Error('partition what?')
      await partition(url, table, request, options)
      break
    case 'rebuild':
      if (rebuilt === undefined) throw new Error('rebuild what?')
      await rebuild(url, table, rebuilt, options)
      break
    case 'purge':
      if (purged === undefined) throw new Error('purge what?')
      await purge(url, table, purged, { ...options, turns: batchesOf(errand.batchRows ?? 100) })
      break
    case 'candidates':
      if (errand.candidates === undefined) throw new Error('write down what?')
      await writeCandidates(url, table, errand.candidates, { ...options, turns: batchesOf(errand.batchRows ?? 100) })
      break
    case 'mark':
      if (errand.mark === undefined) throw new Error('mark what?')
      await mark(url, table, errand.mark, { ...options, turns: batchesOf(errand.batchRows ?? 100) })
      break
    case 'resume':
      await resume(url, { table }, options)
      break
    case 'abandon':
      await abandon(url, { table }, options)
      break
    case 'rollback':
      await rollback(url, { table }, options)
      break
    case 'retire':
      await retire(url, { table }, options)
      break
    case 'restore':
      if (errand.restore === undefined) throw new Error('restore what?')
      await restoreRows(url, errand.restore, options)
      break
    case 'rotate':
      if (errand.rotate === undefined) throw new Error('rotate what?')
      await rotate(url, errand.rotate, options)
  }
}

function observer(event: Event): void {
  const key = 'step' in event ? event.step.key : null
  say({ type: event.type, key, reason: event.type === 'waiting' ? event.reason : null, statements })
  if (errand.dieAt === `${event.type}: ${key}`) die()
}

/** From inside, a moment can be named exactly; from outside it would have passed. */
function countStatements({ dieAtStatement }: Errand): void {
  // eslint-disable-next-line @typescript-eslint/unbound-method -- it is called with the client at hand
  const query = pg.Client.prototype.query as (...given: unknown[]) => unknown
  pg.Client.prototype.query = function (this: pg.Client, ...given: unknown[]) {
    const answer = query.apply(this, given)
    statements += 1
    if (statements === dieAtStatement?.number) setTimeout(die, dieAtStatement.afterMs)
    return answer
  } as typeof pg.Client.prototype.query
}

function die(): void {
  process.kill(process.pid, 'SIGKILL')
}

function say(said: Said): void {
  process.stdout.write(`${JSON.stringify(said)}\n`)
}
