import { readCondition } from '../catalog/condition/condition.ts'
import type { TableModel } from '../catalog/table/table-model.ts'
import type { Session } from '../db/session.ts'
import { EbbError, NOTHING_CHANGED } from '../errors.ts'
import { display, type TableName } from '../sql/names.ts'
import type { Predicate } from '../sql/predicate.ts'

// A stored situation speaks of the catalogue: types, definitions, conditions,
// whole statements that PostgreSQL has printed. Each piece of text in it must be
// one that the catalogue says now, of what the plan is about.

/**
 * Single words: names of columns, kinds and states, numbers as text, storage parameters (an autovacuum may be told to hurry
 * while a run waits for it). Nothing is executed by one.
 */
const WORD = /^[\w$/+:.=-]*$/

/** Fields that never become SQL, or only as literals and quoted identifiers. */
const UNUSED = new Set([
  'accepted',
  'evidence',
  'sendings',
  'settings',
  'taken',
  'triggerCode',
  'unheeded',
  'upserts',
  'versionText',
  'written',
])

/**
 * Makes sure that all text of a situation is found again in `texts`, which has just been read.
 *
 * @throws {EbbError} where something has been altered, or put into the journal
 */
export function assertFoundAgain(table: TableName, situation: unknown, texts: unknown): void {
  const known = new Set(textsOf(texts, '').map(({ text }) => text))
  const strange = textsOf(situation, '').find(({ text }) => !known.has(text))
  if (strange !== undefined) throw changed(table, strange)
}

/**
 * Without what may stand in the way of a batch, and never becomes SQL of one: a trigger or a constraint may be altered or
 * dropped before the run goes on.
 */
export function rowsOf<Situation extends { readonly table: TableModel }>(situation: Situation): unknown {
  return { ...situation, table: { ...situation.table, triggers: [], constraints: [], indexes: [] } }
}

/**
 * Makes sure that a condition calls no function that may do anything.
 *
 * @throws {EbbError} when it does, as one that was put into the journal may
 */
export async function assertHarmless(session: Session, table: TableName, predicate: Predicate | null): Promise<void> {
  const { volatile } = await readCondition(session, table, predicate)
  const [name] = volatile
  if (name === undefined) return
  throw new EbbError(
    `the condition on ${display(table)} calls ${name}(), which may do anything`,
    {
      state: NOTHING_CHANGED,
      next: 'Take back what was done with ebb abandon, and see who has written to the journal.',
    },
    'objections',
  )
}

interface Text {
  readonly field: string
  readonly text: string
}

function textsOf(value: unknown, field: string): Text[] {
  if (UNUSED.has(field)) return []
  if (typeof value === 'string') return field !== 'type' && WORD.test(value) ? [] : [{ field, text: value }]
  if (typeof value !== 'object' || value === null) return []
  if (Array.isArray(value) || value instanceof Set) return [...value].flatMap((one) => textsOf(one, field))
  return Object.entries(value).flatMap(([name, inner]) => textsOf(inner, name))
}

const LONGEST_SHOWN = 80

function changed(table: TableName, { field, text }: Text): EbbError {
  const shown = text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text
  return new EbbError(
    `${display(table)} has changed since the plan was made: its ${field} is not ${JSON.stringify(shown)} any more`,
    {
      state: NOTHING_CHANGED,
      next: 'Undo the change; or take back what was done with ebb abandon, and start again: the new plan takes the change into account.',
    },
  )
}
