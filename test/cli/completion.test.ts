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

// What the function offers is taken from the builtins that it calls.
test('zsh', async ({ needs }) => {
  const zsh = needs('zsh')
  const text = await script('zsh')
  const stubs = `compdef() { }; compset() { }; compadd() { shift; print -l -- "$@" }; _files() { print package.json }
    _describe() { print -l -- "\${(@P)@[-1]}" }; eval "$1"; shift; words=("$@"); CURRENT=$#; _ebb`
  for (const [words, offered] of LINES) {
    const typed = words.split(' ')
    const found = lines(execFileSync(zsh, ['-f', '-c', stubs, 'zsh', text, 'ebb', ...typed], { encoding: 'utf8' }))
    const names = found.map((line) => line.split(':')[0]!).filter((name) => name.startsWith(typed.at(-1)!))
    expect(names.sort(), words).toEqual([...offered].sort())
  }
})
