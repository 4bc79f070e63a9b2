import { endedForHooks, type Ended } from '../../report/ended.ts'
import { toJson } from '../../report/json.ts'
import { nameOf } from '../../requests/option.ts'
import { HOOKS, type Hook, type Hooks } from '../../requests/hooks.ts'
import { runBounded } from '../bounded-program.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { tellWebhook } from './tell-webhook.ts'

// Hooks are told once a command has ended, all at once. Whatever one does, nothing about how the command ended changes.

/** A hook that has not answered by then is given up. */
const HOOK_TIMEOUT_MS = 10_000

/** Which exit codes are told to whom; 4 and 75 are continued by the next run. */
const TOLD: Readonly<Record<keyof Hooks, (code: ExitCode) => boolean>> = {
  onFailure: (code) => code === EXIT.failed || code === EXIT.usage || code === EXIT.bug,
  onObjection: (code) => code === EXIT.objections,
  onFinish: () => true,
}

/** Tells the hooks whose turn it is. Returns what went wrong, in a line each. */
export async function tellHooks(hooks: Hooks, ended: Ended, timeoutMs = HOOK_TIMEOUT_MS): Promise<string[]> {
  const content = toJson(endedForHooks(ended))
  const due = (Object.keys(TOLD) as (keyof Hooks)[]).filter((name) => TOLD[name](ended.exitCode as ExitCode))
  const wrong = await Promise.all(due.map((name) => tellHook(name, hooks[name], content, timeoutMs)))
  return wrong.filter((line) => line !== null)
}

async function tellHook(
  name: keyof Hooks,
  hook: Hook | null,
  content: string,
  timeoutMs: number,
): Promise<string | null> {
  if (hook === null) return null
  const why = await ('url' in hook
    ? tellWebhook(hook.url, content, timeoutMs)
    : runBounded('/bin/sh', ['-c', hook.command], content, timeoutMs))
  return why === null ? null : `the hook --${nameOf(HOOKS[name].flags)}: ${why}`
}
