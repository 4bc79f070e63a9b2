import { commandTree } from '../tree.ts'
import { bashCompletion } from './bash.ts'
import { fishCompletion } from './fish.ts'
import { completedCommands } from './model.ts'
import { zshCompletion } from './zsh.ts'

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion }

/** The script for a shell: everything is in it, so that completing starts no program. */
export async function completionOf(shell: keyof typeof SCRIPTS): Promise<string> {
  return SCRIPTS[shell](completedCommands(await commandTree()))
}
