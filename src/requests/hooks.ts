import { UsageError } from '../errors.ts'
import { option, type Values } from './option.ts'
import { text } from './parsers.ts'

/** Who is told how a command has ended: a URL that gets a POST, or a command for the shell. */
export type Hook = { readonly url: string } | { readonly command: string }

const IN_WORDS = 'a webhook (https://…) or a shell command that gets the outcome as JSON'

/** Of commands that run unattended; in a config under `hooks`. */
export const HOOKS = {
  onFailure: option('--on-failure <hook>', `${IN_WORDS}, if it failed`, hook),
  onObjection: option('--on-objection <hook>', 'the same, if there are blocking issues', hook),
  onFinish: option('--on-finish <hook>', 'the same, however it ended', hook),
}

export type Hooks = Values<typeof HOOKS>

export const NO_HOOKS: Hooks = { onFailure: null, onObjection: null, onFinish: null }

function hook(value: unknown): Hook {
  const given = text(value).trim()
  if (given === '')
    throw new UsageError('there is nothing to run', 'Pass a URL that begins with https://, or a command for the shell.')
  if (!/^https?:\/\//i.test(given)) return { command: given }
  if (URL.canParse(given)) return { url: given }
  // What it is may be a secret.
  throw new UsageError('the URL cannot be read', 'Pass it as https://host/path.')
}
