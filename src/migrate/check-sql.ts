import { EbbError, NOTHING_CHANGED } from '../errors.ts'
import type { Direction } from '../journal/migration-files.ts'

// What can be said of a file of SQL before it is run. A server may understand statements that the grammar here does not know
// yet; but words, quotes and comments are the same in every version, so the beginnings of its statements are found all the same.

/**
 * @throws {EbbError} before anything is executed, if it says nothing, or would end the transaction that it runs in
 */
export async function assertRunnable(name: string, text: string, direction: Direction): Promise<void> {
  const { scan } = await import('libpg-query')
  // What is not even words, the server refuses.
  const { tokens } = await scan(text).catch(() => ({ tokens: null }))
  if (tokens === null) return
  const words = tokens.filter(({ tokenName }) => !COMMENTS.includes(tokenName)).map((token) => token.text.toLowerCase())
  if (words.every((word) => word === ';')) throw saysNothing(name, direction)
  if (endsTransaction(words)) throw notOneTransaction(name)
}

const COMMENTS: readonly string[] = ['SQL_COMMENT', 'C_COMMENT']

const ENDING: readonly string[] = ['begin', 'commit', 'rollback', 'abort', 'end', 'savepoint', 'release']

/** Whether a statement begins or ends a transaction. The body of a function (`begin atomic …; end`) does not. */
function endsTransaction(words: readonly string[]): boolean {
  let bodies = 0
  return words.some((word, i) => {
    const [before, next] = [words[i - 1] ?? ';', words[i + 1]]
    if (word === 'begin' && next === 'atomic') bodies++
    else if (word === 'end' && bodies > 0 && [';', 'atomic'].includes(before)) bodies--
    else if (before === ';')
      return ENDING.includes(word) || (['start', 'prepare'].includes(word) && next === 'transaction')
    return false
  })
}

function saysNothing(name: string, direction: Direction): EbbError {
  const [what, next] =
    direction === 'up'
      ? ['there is no statement in it', 'Write it, or delete the file; if it is to do nothing: select 1;']
      : ['there is no statement in the file that undoes it', 'Write it, or delete the file: then it cannot be undone.']
  return new EbbError(`migration ${name}: ${what}`, { state: NOTHING_CHANGED, next }, 'usage')
}

function notOneTransaction(name: string): EbbError {
  return new EbbError(
    `migration ${name} begins or ends a transaction itself`,
    {
      state: NOTHING_CHANGED,
      next: 'Remove that: each file of SQL is run in one transaction, together with its record.',
    },
    'usage',
  )
}
