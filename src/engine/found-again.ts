import { readCondition } from '../catalog/condition/condition.ts'
import type { TableModel } from '../catalog/table/table-model.ts'
import type { Session } from '../db/session.ts'
import { EbbError, NOTHING_CHANGED } from '../errors.ts'
import { display, type TableName } from '../sql/names.ts'
import type { Predicate } from '../sql/predicate.ts'

// A stored situation contains text from the catalogue: types, definitions, conditions, whole statements printed by
// PostgreSQL. Each such text must still be in the catalogue, for the objects of the plan.

/**
 * Single words: names of columns, kinds and states, numbers as text, storage parameters (autovacuum may be tuned
 * while a run waits for it). They cannot execute anything.
 */
const WORD = /^[\w$/+:.=-]*$/

/** Fields that never become SQL, or only as literals and quoted identifiers. */
const UNUSED = new Set([
  'accepted',
  'beside',
  'evidence',
  'helpers',
  'keyDependents',
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
 * Checks that all text of a situation is in `texts`, which has just been read.
 *
 * @throws {EbbError} if something was altered, or written into the journal
 */
export function assertFoundAgain(table: TableName, situation: unknown, texts: unknown): void {
  const known = new Set(textsOf(texts, '').map(({ text }) => text))
  const strange = textsOf(situation, '').find(({ text }) => !known.has(text))
  if (strange !== undefined) throw changed(table, strange)
}

/**
 * Without what may block a batch but never becomes part of its SQL: a trigger or a constraint may be altered or
 * dropped before the run is resumed.
 */
export function rowsOf<Situation extends { readonly table: TableModel }>(situation: Situation): unknown {
  return { ...situation, table: { ...situation.table, triggers: [], constraints: [], indexes: [] } }
}

/**
 * Checks that a condition calls no volatile function.
 *
 * @throws {EbbError} if it does, for example one written into the journal
 */
export async function assertHarmless(session: Session, table: TableName, predicate: Predicate | null): Promise<void> {
  const { volatile } = await readCondition(session, table, predicate)
  const [name] = volatile
  if (name === undefined) return
  throw new EbbError(
    `the condition on ${display(table)} calls ${name}(), which may have side effects`,
    {
      state: NOTHING_CHANGED,
      next: 'Undo the run with ebb abandon, and find out who wrote to the journal.',
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
    `${display(table)} has changed since the plan was made: its ${field} is no longer ${JSON.stringify(shown)}`,
    {
      state: NOTHING_CHANGED,
      next: 'Undo the change; or undo the run with ebb abandon, and start again: the new plan includes the change.',
    },
  )
}
