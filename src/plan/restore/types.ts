import type { UserType } from '../../catalog/table/user-types.ts'
import { literal } from '../../sql/sql.ts'
import { shellWord } from '../../text/shell-word.ts'
import { objection } from '../language/objection.ts'
import type { Objection } from '../language/step.ts'
import type { ColumnMapping } from './columns.ts'

// Archived values are text, and mean what their type makes of them: it may have been altered since. An attribute that
// was dropped from a composite type, and another one added, would shift each value into the wrong attribute.

/** Why archived values are no values of their types any more, or other ones. */
export function typeObjections({ pairs }: ColumnMapping, now: readonly UserType[]): Objection[] {
  const was = pairs.filter(({ from, to }) => from.type === to.type).flatMap(({ from }) => from.types ?? [])
  const distinct = new Map(was.map((type) => [type.name, type]))
  return [...distinct.values()].flatMap((type) => {
    const is = now.find(({ name }) => name === type.name)
    const change = is === undefined ? null : changeOf(type, is)
    return change === null ? [] : [changedType(type, change)]
  })
}

function changedType({ name }: UserType, change: string): Objection {
  const code = `restore-changed-type:${name}`
  return {
    ...objection(
      code,
      change,
      `Restore into a table of your own with text in its place; or, if no archived value is concerned, accept it: --accept ${shellWord(code)}`,
    ),
    acceptable: true,
  }
}

/** Null: each value is still one, and the same. */
function changeOf(was: UserType, is: UserType): string | null {
  if (was.kind === 'enum' && is.kind === 'enum') {
    const lost = was.parts.filter((value) => !is.parts.includes(value))
    return lost.length === 0
      ? null
      : `${is.name} has lost values: ${lost.map((value) => literal(value).text).join(', ')}`
  }
  const isAsBefore = is.kind === was.kind && is.parts[0] === was.parts[0] && fits(was, is)
  return isAsBefore ? null : `${was.name} was a ${describe(was)}, and is a ${describe(is)}`
}

/** A domain that has lost a constraint takes what it took. */
function fits({ kind, parts }: UserType, is: UserType): boolean {
  return (
    is.parts.every((part) => parts.includes(part)) &&
    (kind === 'domain' || (is.parts.length === parts.length && is.parts.every((part, i) => part === parts[i])))
  )
}

function describe({ kind, parts }: UserType): string {
  const [first = '', ...constraints] = parts
  if (kind === 'domain') return `domain over ${[first, ...constraints].join(' ')}`
  return `${kind} type (${parts.join(', ')})`
}
