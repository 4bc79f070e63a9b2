import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { test } from '../support/database.ts'
import { ebb } from './support.ts'

// The scripts of `ebb completion`, in the shells that they are for.

/** A command line, the last word of which is completed, and what has to be offered for it. */
const LINES: readonly (readonly [words: string, offered: readonly string[]])[] = [
  ['ro', ['rotate', 'rollback']],
  ['archive ver', ['verify']],
  ['rotate --ret', ['--retire']],
  ['rotate --retire d', ['drop', 'detach']],
  ['rotate events --log-format ', ['text', 'json']],
  ['rotate --keep ', []],
  ['run --config package.j', ['package.json']],
  ['completion b', ['bash']],
]

async function script(shell: string): Promise<string> {
  const { code, out } = await ebb(['completion', shell])
  expect(code).toBe(0)
  return out
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}

test('bash', async ({ needs }) => {
  const bash = needs('bash')
  const text = await script('bash')
  const complete = (words: readonly string[], before = '') =>
    lines(
      execFileSync(
        bash,
        [
          '--norc',
          '-c',
          `${before} eval "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ebb; printf "%s\\n" "\${COMPREPLY[@]}"`,
          text,
          ...words,
        ],
        { encoding: 'utf8' },
      ),
    )
  for (const [words, offered] of LINES)
    expect(complete(['ebb', ...words.split(' ')]).sort(), words).toEqual([...offered].sort())
  expect(complete(['ebb', 'rotate', '--retire', '=', 'dr'])).toEqual(['drop'])
  // As bash 3.2 of macOS has it.
  const old = 'enable -n mapfile readarray compopt;'
  expect(complete(['ebb', 'run', '--config', 'package.j'], old)).toEqual(['package.json'])
  expect(complete(['ebb', 'rotate', '--retire=dr'], old)).toEqual(['drop'])
})

test('fish', async ({ needs }) => {
  const fish = needs('fish')
  const text = await script('fish')
  for (const [words, offered] of LINES) {
    const program = ['--no-config', '-c', 'echo $argv[1] | source; complete -C $argv[2]', text, `ebb ${words}`]
    const found = lines(execFileSync(fish, program, { encoding: 'utf8' })).map((line) => line.split('\t')[0])
    expect(found.sort(), words).toEqual([...offered].sort())
  }
})

// Its line editor, which completes, wants a terminal: this one types into it.
test('zsh, as somebody types', async ({ needs }) => {
  const zsh = needs('zsh')
  const folder = await mkdtemp(join(tmpdir(), 'ebb-zsh-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, '_ebb'), await script('zsh'))
  const typist = `zmodload zsh/zpty; zpty shell "PS1= TERM=dumb $1 -f -i"
    typed() { zpty -n -w shell "$1"; zpty -r shell seen "$2"; print -r -- "$seen" }
    typed "autoload -U compinit; compinit -u -d $2/dump; source $2/_ebb; print rea''dy"$'\\n' $'*ready\\r*' >/dev/null
    typed $'ebb ro\\t\\t' '*(retention)*'
    typed $'\\x15ebb rotate --retire tr\\t' '*truncate*'
    zpty -d shell`
  const seen = execFileSync(zsh, ['-f', '-c', typist, 'typist', zsh, folder], { encoding: 'utf8', timeout: 60_000 })
  expect(seen).toMatch(/undo a finished run[^]*create partitions ahead[^]*truncate/)
})

// Typed, too; a function around the builtin with which all completion ends writes down what is offered.
test('zsh', async ({ needs }) => {
  const zsh = needs('zsh')
  const folder = await mkdtemp(join(tmpdir(), 'ebb-zsh-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, '_ebb'), await script('zsh'))
  await writeFile(
    join(folder, 'setup'),
    `autoload -U compinit; compinit -u -d ${folder}/dump; source ${folder}/_ebb
    compadd() {
      # What is only matched against arrays is not offered.
      if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi
      local -a offered; builtin compadd -A offered "$@"
      (( $#offered )) && print -rl -- $offered >>${folder}/offered
      builtin compadd "$@"
    }
    bindkey '^I' complete-word
    # Both are called once, unless they are listed again.
    asked() { compprefuncs=(asked); print -n >${folder}/offered }
    answered() { comppostfuncs=(answered); print answe''red }
    compprefuncs=(asked) comppostfuncs=(answered)
    print rea''dy`,
  )
  const typist = `zmodload zsh/zpty; zpty shell "PS1= TERM=dumb $1 -f -i"; shift
    zpty -n -w shell $'source ${folder}/setup\\n'; zpty -r shell seen $'*ready\\r*'
    for line; do
      zpty -n -w shell $'\\x15'"$line"$'\\t'; zpty -r shell seen '*answered*'
      print -r -- "== $line"; cat ${folder}/offered
    done
    zpty -d shell`
  const typed = [...LINES, ['rotate --retire=dr', ['drop']] as const]
  const program = ['-f', '-c', typist, 'typist', zsh, ...typed.map(([words]) => `ebb ${words}`)]
  const answers = execFileSync(zsh, program, { encoding: 'utf8', timeout: 60_000 })
    .split(/^== .*\n/m)
    .slice(1)
  for (const [i, [words, offered]] of typed.entries())
    expect(lines(answers[i] ?? '').sort(), words).toEqual([...offered].sort())
})
