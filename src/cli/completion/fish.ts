import type { Completed, CompletedFlag } from './model.ts'

/** Rules for fish: each holds at one command. */
export function fishCompletion(all: readonly Completed[]): string {
  const rules = all.flatMap(({ at, commands, flags }) => [
    ...commands.map(({ name, help }) => `${rule(at)} -a ${name} -d ${inFish(help)}`),
    ...flags.map((flag) => `${rule(at)} -l ${flag.name.slice(2)}${value(flag)} -d ${inFish(flag.help)}`),
  ])
  return `# fish completion for ebb: ebb completion fish | source
function __ebb_at
    set -l at ''
    for word in (commandline -opc)[2..]
        contains -- "$at $word" ${all
          .slice(1)
          .map(({ at }) => inFish(at))
          .join(' ')}; and set at "$at $word"
    end
    test "$at" = "$argv[1]"
end
complete -c ebb -f
${rules.join('\n')}
`
}

function rule(at: string): string {
  return `complete -c ebb -n ${inFish(`__ebb_at "${at}"`)}`
}

function value({ value: given }: CompletedFlag): string {
  if (given === null) return ''
  if (given === 'file') return ' -rF'
  return given === 'other' ? ' -x' : ` -xa ${inFish(given.join(' '))}`
}

function inFish(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
