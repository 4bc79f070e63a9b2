import type { ForeignCode } from '../../../catalog/table/table-code.ts'
import { shellWord } from '../../../text/shell-word.ts'
import type { Objection } from '../../language/step.ts'

/** That code of others would run with the rights of a superuser, one for each function. */
export function codeObjections(code: readonly ForeignCode[], role: string): Objection[] {
  return code.map(({ function: name, owner, calledBy }) => {
    const id = `code-of-others:${name}`
    return {
      code: id,
      what: `function ${name} of ${owner} would run with the rights of ${role}, a superuser: ${calledBy} calls it`,
      fix: `Connect as the owner of the table, whose rights are enough; or, if the function is to be trusted, go ahead with --accept ${shellWord(id)}.`,
      acceptable: true,
    }
  })
}
