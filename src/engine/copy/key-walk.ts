import { NEVER_NULL } from '../../catalog/table/json-parts.ts'
import { readAll } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { inTransaction } from '../../db/transaction.ts'
import { underSettings } from '../../db/settings.ts'
import { EbbError } from '../../errors.ts'
import type { CopyWork } from '../../plan/copy/work.ts'
import { display, quoted } from '../../sql/names.ts'
import { own } from '../../sql/operators.ts'
import { ident, literal, raw, sql, type Sql } from '../../sql/sql.ts'
import { kept, type KeyRange, type Range } from './chunk.ts'
import { firstSize, leastSize, type CopySizes } from './sizes.ts'
import type { DoneChunk, Walk } from './chunk.ts'

/** A not-null column with a btree index in the default order of its type. */
export interface WalkColumn {
  readonly name: string
  readonly type: string
}

/** A block holds about fifty rows. */
const ROWS_PER_BLOCK = 50

/** The maximum rows of a range; a single value cannot be divided. */
export function mostRows({ chunkBlocks }: CopySizes): number {
  return chunkBlocks * ROWS_PER_BLOCK
}

const FIRST_ROWS = 25_600

interface Gap {
  readonly first: number
  /** The end of the gap in the order of ranges; infinite for the last. */
  readonly end: number
  readonly from: string | null
  readonly to: string | null
}

/**
 * Ranges of a column's values, determined while walking: each ends at the value after a number of kept rows. The
 * first and the last are unbounded, so every value is in exactly one range.
 */
export class KeyWalk implements Walk {
  readonly unit = 'rows'
  readonly total: number
  readonly begun: number
  readonly firstSize: number
  readonly maxSize: number
  readonly leastSize: number
  private readonly work: CopyWork
  private readonly column: WalkColumn
  private readonly gaps: Gap[]
  /** Ranges are determined one at a time, because each starts where the previous one ends. */
  private turn: Promise<unknown> = Promise.resolve()
  private closed = false

  constructor(work: CopyWork, column: WalkColumn, rows: number, done: readonly DoneChunk[], maxRows: number) {
    this.work = work
    this.column = column
    this.gaps = gapsBetween(done)
    this.begun = done.reduce((sum, chunk) => sum + chunk.rows, 0)
    this.total = Math.max(rows, this.begun)
    this.maxSize = maxRows
    this.leastSize = leastSize(FIRST_ROWS, this.maxSize)
    this.firstSize = firstSize(this.total, FIRST_ROWS, this.maxSize)
  }

  next(size: number, session: Session): Promise<Range | undefined> {
    const range = this.turn.then(() => this.cutOff(size, session))
    this.turn = range.catch(() => {})
    return range
  }

  close(): void {
    this.closed = true
  }

  private async cutOff(size: number, session: Session): Promise<Range | undefined> {
    const gap = this.closed ? undefined : this.gaps.shift()
    if (gap === undefined) return undefined
    // A gap between ranges is copied as one range.
    const to = gap.end === Infinity ? await this.valueAfter(gap.from, size, session) : gap.to
    const end = gap.end === Infinity ? gap.first + 1 : gap.end
    if (gap.end === Infinity && to !== null) this.gaps.push({ first: end, end: Infinity, from: to, to: null })
    const keys: KeyRange = { column: this.column.name, type: this.column.type, from: gap.from, to }
    return { first: gap.first, end, keys, size }
  }

  /** The value after the next `rows` kept rows; null if there are fewer. It need not be exact: any value divides. */
  private valueAfter(from: string | null, rows: number, session: Session): Promise<string | null> {
    const column = sql`s.${ident(this.column.name)}`
    const place = sql`${quoted(this.work.source)} s where ${kept(this.work)}`
    const beyond = from === null ? raw('true') : sql`${column} ${own('>=')} ${this.literal(from)}`
    return inTransaction(session, { readOnly: true }, async () => {
      await columnOf(session, this.work, this.column.name)
      const [next] = await underSettings(session, this.work.settings, () =>
        readAll<{ value: string }>(
          session,
          sql`select ${column}::pg_catalog.text as value from ${place} and ${column} ${own('>')}
            (select ${column} from ${place} and ${beyond} order by ${column} offset ${raw(String(rows - 1))} limit 1)
            order by ${column} limit 1`,
        ),
      )
      return next?.value ?? null
    })
  }

  private literal(text: string): Sql {
    return sql`${literal(text)}::${raw(this.column.type)}`
  }
}

function gapsBetween(done: readonly DoneChunk[]): Gap[] {
  const gaps: Gap[] = []
  let after: { position: number; value: string | null } = { position: 0, value: null }
  for (const { first, end, from, to } of done) {
    if (first > after.position) gaps.push({ first: after.position, end: first, from: after.value, to: from })
    after = { position: end, value: to }
  }
  const finished = done.length > 0 && after.value === null
  if (!finished) gaps.push({ first: after.position, end: Infinity, from: after.value, to: null })
  return gaps
}

/**
 * The column of a walk that was started.
 *
 * @throws {EbbError} when it, or every index on it, was dropped: each range would scan the whole table
 */
export async function columnOf(session: Session, { source }: CopyWork, name: string): Promise<WalkColumn> {
  const [column] = await readAll<WalkColumn>(
    session,
    sql`
    select a.attname::text as name, format_type(a.atttypid, null) as type from pg_attribute a
    where a.attrelid = to_regclass(${quoted(source).text}) and a.attname = ${name} and ${raw(NEVER_NULL)}
      and exists (select from pg_index i where i.indrelid = a.attrelid and i.indkey[0] = a.attnum and i.indisvalid)`,
  )
  if (column !== undefined) return column
  throw new EbbError(`${display(source)} no longer has an index on ${name}, through which the kept rows are read`, {
    state: 'The chunks copied so far are kept; the application is not affected.',
    next: 'Recreate the index and run the same command again: it resumes where it stopped. Or undo the run with ebb abandon, and start again.',
  })
}
