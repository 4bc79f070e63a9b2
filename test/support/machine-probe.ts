import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import pg from 'pg'

// A session that has nothing to do with any table, in a thread of its own: how long twenty statements take, one after
// the other, is what the machine takes by itself (see machine.ts). A step under lock is about as many.

const STATEMENTS = 20
const REST_MS = 50

const client = new pg.Client({ connectionString: workerData as string, application_name: 'machine' })
await client.connect()
for (;;) {
  const began = performance.now()
  for (let n = 0; n < STATEMENTS; n++) await client.query('select 1')
  parentPort?.postMessage(performance.now() - began)
  await sleep(REST_MS)
}
