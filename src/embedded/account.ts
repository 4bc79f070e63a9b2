import { execFileSync } from 'node:child_process'
import { chown, lchown, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** The operating system's user that a server runs as, in the form `spawn` takes. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

/** PostgreSQL refuses to run as root; root takes the first of these that exists. */
const STAND_INS = ['postgres', 'nobody']

/** The account a server must run as: another one if we are root, otherwise ours (null). */
export function serverAccount(): Account | null {
  if (process.getuid?.() !== 0) return null
  const account = STAND_INS.map(accountOf).find((found) => found !== null)
  if (!account) throw new Error(`none of the users ${STAND_INS.join(', ')} exists`)
  return account
}

/** Makes the account the owner of a folder and its contents. Links are not followed. */
export async function handOver(folder: string, account: Account | null): Promise<void> {
  if (!account) return
  await chown(folder, account.uid, account.gid)
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) await handOver(path, account)
    else await lchown(path, account.uid, account.gid)
  }
}

function accountOf(user: string): Account | null {
  try {
    return { uid: idOf('-u', user), gid: idOf('-g', user) }
  } catch {
    return null // `id` exits with 1 for a user that does not exist
  }
}

function idOf(which: '-u' | '-g', user: string): number {
  return Number(execFileSync('id', [which, user], { stdio: ['ignore', 'pipe', 'ignore'] }))
}
