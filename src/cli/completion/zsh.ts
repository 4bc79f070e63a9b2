import { quoted, type Completed } from './model.ts'

/** A function for zsh: sourced after compinit, or as a file `_ebb` in a folder of fpath. */
export function zshCompletion(all: readonly Completed[]): string {
  const values = all.flatMap(({ at, flags }) =>
    flags.flatMap(({ name, value }) =>
      value === null ? [] : [`    (${quoted(`${at} ${name}`)}) ${reply(value)} return ;;`],
    ),
  )
  const words = all.map(({ at, commands, flags }) => {
    return `    (${quoted(at)}) commands=(${described(commands)}) flags=(${described(flags)}) ;;`
  })
  return `#compdef ebb
# zsh completion for ebb: source <(ebb completion zsh)
_ebb() {
  local at='' before=\${words[CURRENT-1]} i
  local -a commands flags
  if [[ \${words[CURRENT]} == --*=* ]]; then before=\${words[CURRENT]%%=*}; compset -P '*='; fi
  for ((i = 2; i < CURRENT; i++)); do
    case "$at \${words[i]}" in
      (${all
        .slice(1)
        .map(({ at }) => quoted(at))
        .join('|')}) at="$at \${words[i]}" ;;
    esac
  done
  case "$at $before" in
${values.join('\n')}
  esac
  case "$at" in
${words.join('\n')}
  esac
  (( $#commands )) && _describe command commands
  (( $#flags )) && _describe -o flag flags
  return 0
}
if [[ \${funcstack[1]} == _ebb ]]; then _ebb "$@"; else compdef _ebb ebb; fi
`
}

function reply(value: 'file' | 'other' | readonly string[]): string {
  if (value === 'other') return ''
  return value === 'file' ? '_files;' : `compadd -- ${value.map(quoted).join(' ')};`
}

function described(all: readonly { readonly name: string; readonly help: string }[]): string {
  return all.map(({ name, help }) => quoted(`${name}:${help}`)).join(' ')
}
