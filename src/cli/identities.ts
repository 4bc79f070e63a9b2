import { parseIdentities } from '../plan/archive/identity.ts'
import type { Context } from './context.ts'

/** The identities of age from files, and from the environment. */
export function withIdentities(fromFiles: readonly string[], { env }: Context): readonly string[] {
  return env.AGE_IDENTITY ? [...fromFiles, ...parseIdentities(env.AGE_IDENTITY, 'AGE_IDENTITY')] : fromFiles
}
