import type { Context } from '../cli/context.ts'
import { shellWord } from '../text/shell-word.ts'
import type { Output } from '../report/output.ts'
import { showElapsed } from '../text/elapsed.ts'
import { harmless, wrap } from '../text/comment.ts'

/** Longer lines are hard to read, however wide the terminal. */
const WIDEST = 96

/** Prints headings, sentences, and the commands. */
export class Narrator {
  readonly out: Output
  private readonly isBold: boolean

  constructor({ out, env }: Pick<Context, 'out' | 'env'>) {
    this.out = out
    this.isBold = out.isTTY && env.TERM !== 'dumb' && !env.NO_COLOR
  }

  heading(text: string): void {
    this.line(`\n${this.bold(text)}\n`)
  }

  say(text: string): void {
    for (const line of wrap(text, Math.min(this.out.columns, WIDEST))) this.line(line)
  }

  /** A command as the user would type it. */
  typed(words: readonly string[]): void {
    this.line(`\n${this.bold(`$ ebb ${words.map(shellWord).join(' ')}`)}`)
  }

  /** Prints what is being done, does it, and prints how long it took. */
  async during<T>(what: string, work: () => Promise<T>): Promise<T> {
    this.out.write(`${what} … `)
    const began = performance.now()
    const result = await work()
    this.line(showElapsed(performance.now() - began))
    return result
  }

  line(text: string): void {
    this.out.write(`${text}\n`)
  }

  /** Text from elsewhere, which may contain any character. */
  quote(text: string): void {
    this.out.write(harmless(text))
  }

  private bold(text: string): string {
    return this.isBold ? `\x1b[1m${text}\x1b[22m` : text
  }
}
