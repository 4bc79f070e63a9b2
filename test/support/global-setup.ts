import type { TestProject } from 'vitest/node'
import { CITUS_URL } from './citus-url.ts'
import { compile } from './compiled.ts'
import { obtainServer, type TestServer } from './server.ts'
import { clearGround, once, prepareGround, type Ground } from './template.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    ground: Ground
    /** Where the sources are as JavaScript; see compiled.ts. */
    compiled: string
  }
}

/** Before all tests: one server, one template, the sources compiled. What is returned removes them. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const compiled = await compile()
  project.provide('compiled', compiled.folder)
  const removeServer = await setUpServer(project).catch(async (error: unknown) => {
    await compiled.remove()
    throw error
  })
  return async () => {
    await compiled.remove()
    await removeServer()
    // The last that is read of a run.
    if (CITUS_URL === undefined)
      console.log('test/citus was skipped: EBB_TEST_CITUS_URL is not set (scripts/citus-cluster.sh starts a cluster)')
  }
}

async function setUpServer(project: TestProject): Promise<() => Promise<void>> {
  const server = await obtainServer()
  try {
    const ground = await prepareGround(server.url)
    console.log(`PostgreSQL ${await versionOf(server)} (${server.origin})`)
    project.provide('ground', ground)
    return async () => {
      await clearGround(ground)
      if (await hasKeptDatabases(ground))
        console.log(`the server stays for the databases that were kept: ${server.url}`)
      else await server.remove()
    }
  } catch (error) {
    await server.remove()
    throw error
  }
}

async function hasKeptDatabases({ url }: Ground): Promise<boolean> {
  if (process.env.EBB_TEST_KEEP !== '1') return false
  return once(url, async (client) => {
    const { rowCount } = await client.query(`select from pg_database where starts_with(datname, 'ebb_test_')`)
    return rowCount !== 0
  })
}

async function versionOf(server: TestServer): Promise<string> {
  return once(server.url, async (client) => {
    const { rows } = await client.query<{ server_version: string }>('show server_version')
    return rows[0]!.server_version
  })
}
