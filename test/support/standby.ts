import { onTestFinished } from 'vitest'
import type { EmbeddedServer } from '../../src/embedded/server.ts'
import { followPrimary, type StandbyOptions } from './base-backup.ts'

/** Starts a streaming replica of the primary, for reading only; it goes when the test ends. */
export async function startStandby(primary: EmbeddedServer, options: StandbyOptions = {}): Promise<EmbeddedServer> {
  const standby = await followPrimary(primary, options)
  onTestFinished(() => standby.remove())
  return standby
}
