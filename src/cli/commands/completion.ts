import { Argument, Command } from 'commander'
import type { Invocation } from '../command.ts'

type Shell = 'bash' | 'zsh' | 'fish'

/** `ebb completion`: a script that has a shell complete commands, flags and their values. */
export function completionCommand({ context }: Invocation): Command {
  return new Command()
    .description(
      'Prints a script that lets a shell complete commands, flags and their values. In ~/.bashrc: eval "$(ebb completion bash)"; in ~/.zshrc, after compinit: source <(ebb completion zsh); in config.fish: ebb completion fish | source.',
    )
    .addArgument(new Argument('<shell>', 'the shell').choices(['bash', 'zsh', 'fish']))
    .action(async (shell: Shell) => {
      const { completionOf } = await import('../completion/completion.ts')
      context.out.write(await completionOf(shell))
    })
}
