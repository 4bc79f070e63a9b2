import { createHash } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { literal, sql } from '../../src/sql/sql.ts'
import type { Database } from './database.ts'
import { createTable, keyIs, type HistoryShape } from './history-shapes.ts'
import { bigValue, Writer, type Row } from './history-writer.ts'

export interface HistoryOptions {
  readonly shape: HistoryShape
  readonly random: () => number
  /** Rows that are not `kept` will be left out. */
  readonly mayVanish: boolean
  readonly writers?: number
  readonly rowsEach?: number
}

/**
 * A table that is written to in every way there is, by writers each of which
 * knows what must have become of its rows; and vacuumed all the time.
 */
export class History {
  readonly table: TableName
  private readonly database: Database
  private readonly shape: HistoryShape
  private readonly writers: readonly Writer[]
  private working: Promise<unknown>[] = []
  private vacuuming = false

  private constructor(database: Database, table: TableName, shape: HistoryShape, writers: readonly Writer[]) {
    this.database = database
    this.table = table
    this.shape = shape
    this.writers = writers
  }

  static async create(database: Database, options: HistoryOptions): Promise<History> {
    const { shape, random, mayVanish, writers = 4, rowsEach = 200 } = options
    const table = database.table('history')
    const setup = await database.session('setup')
    for (const statement of createTable(table, shape)) await setup.query(statement.text)
    const all: Writer[] = []
    for (let number = 0; number < writers; number++) {
      const session = await database.session(`writer ${number}`)
      const writer = new Writer(session, { place: quoted(table).text, shape, number, writers, random, mayVanish })
      await writer.fill(rowsEach)
      all.push(writer)
    }
    return new History(database, table, shape, all)
  }

  /** Begins, or goes on. */
  async start(): Promise<void> {
    const cleaner = await this.database.session('cleaner')
    this.vacuuming = true
    // A failure is told by `stop`.
    this.working = [...this.writers.map((writer) => writer.work()), this.vacuum(cleaner)].map(quiet)
  }

  get transactions(): number {
    return this.writers.reduce((sum, { transactions }) => sum + transactions, 0)
  }

  /** Ends between transactions. @throws what a writer has met, which none may: no statement fails, no row is gone. */
  async stop(): Promise<void> {
    for (const writer of this.writers) writer.stop()
    this.vacuuming = false
    await Promise.all(this.working)
  }

  /** Whatever happened: nobody is at work any more, and no transaction is left prepared. */
  async end(): Promise<void> {
    await this.stop().catch(() => {})
    const session = await this.database.session('janitor')
    const { rows } = await session.query<{ gid: string }>(
      'select gid from pg_prepared_xacts where database = current_database()',
    )
    for (const { gid } of rows) await session.query(sql`rollback prepared ${literal(gid)}`.text)
  }

  /** What is there that should not be, and the reverse, after `stop`; `leftOut`: rows not kept and not written since are gone. */
  async differences(leftOut: boolean): Promise<string[]> {
    const oid = await this.oid()
    return this.differencesFrom((row) => !leftOut || row.kept || row.tableOid === oid)
  }

  /** The same where all rows that are not kept are to be gone. */
  async differencesFromKept(): Promise<string[]> {
    return this.differencesFrom(({ kept }) => kept)
  }

  private async differencesFrom(isWanted: (row: Row) => boolean): Promise<string[]> {
    const session = await this.database.session('check')
    await session.query('set enable_indexscan = off; set enable_bitmapscan = off; set enable_indexonlyscan = off')
    const { rows: found } = await session.query<Found>(
      `select n::int as n, val, slot::int as slot, kept, md5(big) as big, tableoid as "tableOid", ${keyIs(this.shape.key, 'n')} and twice = val * 2 as right
       from ${quoted(this.table).text}`,
    )
    const wanted = new Map<number, Row>()
    for (const { rows } of this.writers) for (const [n, row] of rows) if (isWanted(row)) wanted.set(n, row)
    return compare(wanted, found)
  }

  private async oid(): Promise<number> {
    const session = await this.database.session('check')
    const { rows } = await session.query<{ oid: number }>(sql`select ${quoted(this.table).text}::regclass::oid as oid`)
    return rows[0]?.oid ?? 0
  }

  private async vacuum(session: Awaited<ReturnType<Database['session']>>): Promise<void> {
    while (this.vacuuming) {
      await session.query(`vacuum ${quoted(this.table).text}`)
      await setTimeout(5)
    }
  }
}

interface Found {
  readonly n: number
  readonly val: number
  readonly slot: number
  readonly kept: boolean
  readonly big: string | null
  /** Whether key and generated column fit the rest. */
  readonly right: boolean
}

function compare(wanted: Map<number, Row>, found: readonly Found[]): string[] {
  const differences: string[] = []
  const seen = new Set<number>()
  for (const row of found) {
    const { n, val, slot, kept, right } = row
    const want = wanted.get(n)
    if (seen.has(n)) differences.push(`row ${n} is there more than once`)
    seen.add(n)
    if (want === undefined) differences.push(`row ${n} should not be there: ${JSON.stringify(row)}`)
    else if (!right || want.val !== val || want.slot !== slot || want.kept !== kept || digest(want) !== row.big)
      differences.push(`row ${n} is ${JSON.stringify(row)} and should be ${JSON.stringify(want)}`)
  }
  for (const [n, row] of wanted) if (!seen.has(n)) differences.push(`row ${n} is missing: ${JSON.stringify(row)}`)
  return differences
}

function digest({ big }: Row): string | null {
  return big === null ? null : createHash('md5').update(bigValue(big)).digest('hex')
}

/** Marks a rejection as handled, for it is awaited later. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}
