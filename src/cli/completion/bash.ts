import { quoted, type Completed } from './model.ts'

/** A function for bash alone, without the package bash-completion. */
export function bashCompletion(all: readonly Completed[]): string {
  const values = all.flatMap(({ at, flags }) =>
    flags.flatMap(({ name, value }) =>
      value === null ? [] : [`    ${quoted(`${at} ${name}`)}) ${reply(value)} return ;;`],
    ),
  )
  const words = all.map(({ at, commands, flags }) => {
    return `    ${quoted(at)}) words=${quoted([...commands, ...flags].map(({ name }) => name).join(' '))} ;;`
  })
  // macOS has bash 3.2, which knows neither mapfile nor compopt.
  return `# bash completion for ebb: eval "$(ebb completion bash)"
_ebb_files() {
  local file
  compopt -o filenames 2>/dev/null
  while IFS= read -r file; do COMPREPLY+=("$file"); done < <(compgen -f -- "$1")
}
_ebb() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} at= words= i
  # --flag=value comes in three words, and until bash 4 in one.
  if [[ $word == = ]]; then word=; elif [[ $word == --*=* ]]; then before=\${word%%=*} word=\${word#*=}; elif [[ $before == = ]]; then before=\${COMP_WORDS[COMP_CWORD - 2]}; fi
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at \${COMP_WORDS[i]}" in
      ${all
        .slice(1)
        .map(({ at }) => quoted(at))
        .join(' | ')}) at="$at \${COMP_WORDS[i]}" ;;
    esac
  done
  case "$at $before" in
${values.join('\n')}
  esac
  case "$at" in
${words.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -F _ebb ebb
`
}

function reply(value: 'file' | 'other' | readonly string[]): string {
  if (value === 'other') return ''
  if (value === 'file') return `_ebb_files "$word";`
  return `COMPREPLY=($(compgen -W ${quoted(value.join(' '))} -- "$word"));`
}
