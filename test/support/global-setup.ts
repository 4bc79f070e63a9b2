import type { TestProject } from 'vitest/node'
import { obtainServer, type TestServer } from './server.ts'
import { clearGround, once, prepareGround, type Ground } from './template.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    ground: Ground
  }
}

/** Before all tests: one server, one template. What is returned takes both away. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const server = await obtainServer()
  try {
    const ground = await prepareGround(server.url)
    console.log(`PostgreSQL ${await versionOf(server)} (${server.origin})`)
    project.provide('ground', ground)
    return async () => {
      await clearGround(ground)
      await server.remove()
    }
  } catch (error) {
    await server.remove()
    throw error
  }
}

async function versionOf(server: TestServer): Promise<string> {
  return once(server.url, async (client) => {
    const { rows } = await client.query<{ server_version: string }>('show server_version')
    return rows[0]!.server_version
  })
}
