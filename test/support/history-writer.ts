import { createHash, randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type pg from 'pg'
import { keyColumns, keyIs, type HistoryShape } from './history-shapes.ts'

/** A row as its writer knows it. */
export interface Row {
  readonly val: number
  readonly slot: number
  readonly kept: boolean
  /** From which the large value is made; null for none. */
  readonly big: number | null
  /** The table it was last written in. */
  readonly tableOid: number
}

export type Rows = Map<number, Row>

export interface WriterOptions {
  readonly place: string
  readonly shape: HistoryShape
  readonly number: number
  readonly writers: number
  readonly random: () => number
  /** Rows that are not `kept` may be gone from one moment to the next. */
  readonly mayVanish: boolean
}

/** A large value: long enough to be kept out of line. */
export function bigValue(seed: number): string {
  return createHash('md5').update(String(seed)).digest('hex').repeat(100)
}

const BIG = (seed: number | null) => (seed === null ? 'null' : `repeat(md5('${seed}'), 100)`)

/**
 * Writes rows that no other writer touches, so it knows what must be there,
 * whatever the others do. Numbers and slots are its own: its number modulo all.
 */
export class Writer {
  rows: Rows = new Map()
  transactions = 0
  private readonly session: pg.Client
  private readonly options: WriterOptions
  /** What the open transaction makes of the rows. */
  private draft: Rows = new Map()
  private counter = 0
  private stopped = false

  constructor(session: pg.Client, options: WriterOptions) {
    this.session = session
    this.options = options
  }

  /** Rows to begin with. */
  async fill(rows: number): Promise<void> {
    this.draft = new Map()
    for (let i = 0; i < rows; i++) await this.insert()
    this.rows = this.draft
  }

  /** Writes until told to stop; ends between transactions. */
  async work(): Promise<void> {
    this.stopped = false
    while (!this.stopped) {
      await this.transaction()
      this.transactions++
      await setTimeout(this.upTo(25))
    }
  }

  stop(): void {
    this.stopped = true
  }

  private async transaction(): Promise<void> {
    this.draft = new Map(this.rows)
    if (this.chance(0.4)) {
      await this.anything()
      this.rows = this.draft
      return
    }
    await this.session.query('begin')
    await this.severalThings()
    const choice = this.options.random()
    if (choice < 0.15) await this.session.query('rollback')
    else if (choice < 0.3) await this.inTwoPhases()
    else {
      await this.session.query('commit')
      this.rows = this.draft
    }
  }

  private async severalThings(): Promise<void> {
    for (let i = 1 + this.upTo(4); i > 0; i--) {
      if (this.chance(0.2)) await this.withSavepoint()
      else await this.anything()
      if (this.chance(0.05)) await setTimeout(this.upTo(120))
    }
  }

  private async withSavepoint(): Promise<void> {
    await this.session.query('savepoint s')
    const before = new Map(this.draft)
    for (let i = 1 + this.upTo(3); i > 0; i--) await this.anything()
    if (this.chance(0.5)) {
      await this.session.query('rollback to savepoint s')
      this.draft = before
    }
    await this.session.query('release savepoint s')
  }

  private async inTwoPhases(): Promise<void> {
    const gid = randomUUID() // one namespace for the whole server, where other tests run too
    await this.session.query(`prepare transaction '${gid}'`)
    await setTimeout(this.upTo(60))
    const commits = this.chance(0.7)
    await this.session.query(`${commits ? 'commit' : 'rollback'} prepared '${gid}'`)
    if (commits) this.rows = this.draft
  }

  private async anything(): Promise<void> {
    const things = [
      () => this.insert(),
      () => this.insert(),
      () => this.update({ val: this.upTo(1e6) }),
      () => this.update({ val: this.upTo(1e6) }),
      () => this.update({ big: this.chance(0.3) ? null : this.upTo(1e6) }),
      () => this.update({ kept: this.chance(0.5) }),
      () => this.update({}),
      () => this.moveKey(),
      () => this.remove(),
      () => this.replace(),
      () => this.upsert(),
      () => this.insertUnlessThere(),
      () => this.updateMany(),
      () => this.exchangeSlots(),
    ]
    await things[this.upTo(things.length)]?.()
  }

  private async insert(n = this.next()): Promise<void> {
    const row = this.fresh()
    this.draft.set(n, { ...row, tableOid: await this.one(`insert into ${this.into(n, row)}`) })
  }

  private async update(change: Partial<Row>): Promise<void> {
    const [n, row] = this.any()
    if (row === undefined) return
    const { val, big, kept } = { ...row, ...change }
    const big_ = big === row.big ? '' : `, big = ${BIG(big)}`
    await this.change(n, { ...row, ...change }, `val = ${val}, kept = ${kept}${big_}`)
  }

  private async moveKey(): Promise<void> {
    const [n, row] = this.any()
    if (row === undefined) return
    const to = this.next()
    const { key } = this.options.shape
    const values = key.of(to)
    const set = [`n = ${to}`, ...key.columns.map(({ name }, i) => `"${name}" = ${values[i] ?? ''}`)].join(', ')
    const tableOid = await this.touch(row, `update ${this.place} set ${set} where ${keyIs(key, n)}`)
    if (tableOid === null) return
    this.draft.delete(n)
    this.draft.set(to, { ...row, tableOid })
  }

  private async remove(): Promise<void> {
    const [n, row] = this.any()
    if (row === undefined || this.draft.size < 20) return
    if ((await this.touch(row, this.deletion(n))) !== null) this.draft.delete(n)
  }

  /** Deletes and inserts the same key again. */
  private async replace(): Promise<void> {
    const [n, row] = this.any()
    if (row === undefined) return
    await this.touch(row, this.deletion(n))
    this.draft.delete(n)
    await this.insert(n)
  }

  private async upsert(): Promise<void> {
    const n = this.chance(0.5) ? this.any()[0] : this.next()
    const row = this.fresh()
    const set = ['val', 'slot', 'kept', 'big'].map((name) => `${name} = excluded.${name}`).join(', ')
    const { key } = this.options.shape
    const tableOid = await this.one(
      `insert into ${this.into(n, row)} on conflict (${keyColumns(key)}) do update set ${set}`,
    )
    this.draft.set(n, { ...row, tableOid })
  }

  private async insertUnlessThere(): Promise<void> {
    const n = this.any()[0]
    const row = this.fresh()
    const { key } = this.options.shape
    const oids = await this.run(`insert into ${this.into(n, row)} on conflict (${keyColumns(key)}) do nothing`)
    if (oids[0] !== undefined) this.draft.set(n, { ...row, tableOid: oids[0].oid })
  }

  private async updateMany(): Promise<void> {
    const modulo = 2 + this.upTo(5)
    const found = await this.run(
      `update ${this.place} set val = val + 1 where n % ${this.options.writers} = ${this.options.number} and n % ${modulo} = 0`,
    )
    const oids = new Map(found.map(({ n, oid }) => [n, oid]))
    for (const [n, row] of this.draft) {
      if (n % modulo !== 0) continue
      const tableOid = oids.get(n)
      if (tableOid !== undefined) this.draft.set(n, { ...row, val: row.val + 1, tableOid })
      else this.assertMayBeGone(row, `row ${n}`)
    }
  }

  /** Two rows exchange what must not occur twice. */
  private async exchangeSlots(): Promise<void> {
    const kept = [...this.draft].filter(([, row]) => row.kept)
    const [first, second] = [kept[this.upTo(kept.length)], kept[this.upTo(kept.length)]]
    if (first === undefined || second === undefined || first[0] === second[0]) return
    await this.change(first[0], { ...first[1], slot: this.next() })
    await this.change(second[0], { ...second[1], slot: first[1].slot })
    await this.change(first[0], { ...first[1], slot: second[1].slot })
  }

  private async change(n: number, row: Row, set = `slot = ${row.slot}`): Promise<void> {
    const tableOid = await this.touch(row, `update ${this.place} set ${set} where ${keyIs(this.options.shape.key, n)}`)
    if (tableOid !== null) this.draft.set(n, { ...row, tableOid })
  }

  private deletion(n: number): string {
    return `delete from ${this.place} where ${keyIs(this.options.shape.key, n)}`
  }

  private get place(): string {
    return this.options.place
  }

  /** The table it has written in; null when the row is rightly gone. */
  private async touch(row: Row, statement: string): Promise<number | null> {
    const [found] = await this.run(statement)
    if (found !== undefined) return found.oid
    this.assertMayBeGone(row, statement)
    return null
  }

  private assertMayBeGone(row: Row, what: string): void {
    // Whether it is kept is asked of the row as it was: an update may be about to change that.
    const before = [...this.rows.values()].find(({ slot }) => slot === row.slot)
    if (!this.options.mayVanish || before?.kept !== false) throw new Error(`a row is gone: ${what}`)
  }

  private async one(statement: string): Promise<number> {
    const [found] = await this.run(statement)
    if (found === undefined) throw new Error(`no row was written: ${statement}`)
    return found.oid
  }

  private async run(statement: string): Promise<{ n: number; oid: number }[]> {
    const { rows } = await this.session.query<{ n: string; oid: number }>(`${statement} returning n, tableoid as oid`)
    return rows.map(({ n, oid }) => ({ n: Number(n), oid }))
  }

  private into(n: number, { val, slot, kept, big }: Omit<Row, 'tableOid'>): string {
    const { key } = this.options.shape
    return `${this.place} as t (${keyColumns(key)}, n, val, slot, kept, big) values (${key.of(n).join(', ')}, ${n}, ${val}, ${slot}, ${kept}, ${BIG(big)})`
  }

  private fresh(): Omit<Row, 'tableOid'> {
    const big = this.chance(0.1) ? this.upTo(1e6) : null
    return { val: this.upTo(1e6), slot: this.next(), kept: this.chance(0.7), big }
  }

  private any(): [number, Row | undefined] {
    const numbers = [...this.draft.keys()]
    const n = numbers[this.upTo(numbers.length)]
    return n === undefined ? [this.next(), undefined] : [n, this.draft.get(n)]
  }

  /** A number that was never used. */
  private next(): number {
    return ++this.counter * this.options.writers + this.options.number
  }

  private upTo(end: number): number {
    return Math.floor(this.options.random() * end)
  }

  private chance(probability: number): boolean {
    return this.options.random() < probability
  }
}
