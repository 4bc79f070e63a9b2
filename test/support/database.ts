import { inject, test as plainTest } from 'vitest'
import { startServer, type EmbeddedServer } from '../../src/embedded/server.ts'
import { Machine } from './machine.ts'
import { needed, unable } from './programs.ts'
import { noOwnServer, ownBinaries, SETTINGS } from './server.ts'
import { prepareGround } from './template.ts'
import { Database } from './test-database.ts'

export { Database }

/** A server for one test alone, and a database in it. */
export interface OwnServer {
  readonly server: EmbeddedServer
  readonly database: Database
}

interface Fixtures {
  /** A fresh database, gone afterwards. EBB_TEST_KEEP=1 keeps that of a test that failed. */
  database: Database
  /** Starts a server that the test may crash. Skips the test, and says why, where that cannot be. */
  ownServer: (settings?: Readonly<Record<string, string>>) => Promise<OwnServer>
  /** The path of a program. Skips the test where it is missing; fails it where it is required (CONTRIBUTING.md). */
  needs: (program: string) => string
  /** Takes expectations of times. Where they are not met and the machine was too busy to judge, skips the test. */
  judgeTimes: (times: () => void) => Promise<void>
}

/** A `test` that hands over what it names, and takes it away afterwards. */
export const test = plainTest.extend<Fixtures>({
  database: async ({ task }, use) => {
    const database = await Database.create(inject('ground'))
    await use(database)
    await database.close()
    if (process.env.EBB_TEST_KEEP === '1' && task.result?.state === 'fail') {
      console.log(`kept for "${task.name}": ${database.url} (administrator: ${database.adminUrl})`)
    } else {
      await database.drop()
    }
  },

  ownServer: async ({ skip }, use) => {
    const started: EmbeddedServer[] = []
    const databases: Database[] = []
    await use(async (settings = {}) => {
      const reason = noOwnServer()
      if (reason) unable(reason, skip)
      const server = await startServer({ binaries: await ownBinaries(), settings: { ...SETTINGS, ...settings } })
      started.push(server)
      const database = await Database.create(await prepareGround(server.url))
      databases.push(database)
      return { server, database }
    })
    await Promise.all(databases.map((database) => database.close()))
    await Promise.all(started.map((server) => server.remove()))
  },

  needs: async ({ skip }, use) => {
    await use((program) => needed(program, skip))
  },

  judgeTimes: async ({ skip }, use) => {
    const machine = new Machine(inject('ground').url, inject('compiled'))
    await use((times) => machine.judge(times, skip))
    await machine.end()
  },
})
