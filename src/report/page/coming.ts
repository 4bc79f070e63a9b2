import { instantAt } from '../../grid/key.ts'
import { heldRows, heldText } from '../../plan/language/hold.ts'
import { display, type TableName } from '../../sql/names.ts'
import type { ReportData } from './data.ts'
import { bytes, dateOf, moment } from './figures.ts'
import { html, type Html } from './html.ts'
import { expiryOf, type SeenSet } from './seen-set.ts'
import { table } from './table.ts'
import { plural } from '../../text/units.ts'

/** Something that comes by itself, or that rotate may do from then on. */
export interface Coming {
  /** Null: with the next rotation. */
  readonly at: Date | null
  readonly table: TableName
  readonly what: string
  readonly bytes: number | null
}

const MOST = 20

/** What is due next, the first first. */
export function comingUp(sets: readonly SeenSet[], { overview, retired }: ReportData): Coming[] {
  const { detached, holds } = overview.status
  const all: Coming[] = [
    ...sets.flatMap((seen) => [...expired(seen), ...nextExpiry(seen), ...runwayEnds(seen)]),
    ...detached
      .filter(({ kept }) => kept === null)
      .map((one) => ({
        ...{ at: one.goesAt, table: one.table, bytes: one.bytes },
        what: `detached ${display(one.partition)} may be dropped`,
      })),
    ...retired.flatMap((one) =>
      one.goesAt === null || one.retired === null
        ? []
        : [
            {
              ...{ at: one.goesAt, table: one.table, bytes: one.retired.bytes },
              what: `retired ${display(one.retired.name)} may be dropped`,
            },
          ],
    ),
    ...holds.map((hold) => ({
      ...{ at: hold.until, table: hold.table, bytes: null },
      what: `the hold on ${heldRows(hold)} ends (${heldText(hold)})`,
    })),
  ]
  return all.toSorted((a, b) => (a.at?.getTime() ?? 0) - (b.at?.getTime() ?? 0))
}

function expired({ table, partitions }: SeenSet): Coming[] {
  const gone = partitions.filter(({ state }) => state === 'expired')
  if (gone.length === 0) return []
  const what = `${plural(gone.length, 'expired partition')} can be retired`
  return [{ at: null, table, what, bytes: gone.reduce((sum, one) => sum + one.bytes, 0) }]
}

function nextExpiry({ table, partitions, horizon }: SeenSet): Coming[] {
  const [next] = partitions
    .filter(({ newest }) => horizon !== null && newest !== null && newest > horizon.position)
    .toSorted((a, b) => ((a.newest ?? 0n) < (b.newest ?? 0n) ? -1 : 1))
  const at = next === undefined ? null : expiryOf(next, horizon)
  if (next === undefined || at === null) return []
  const whole = next.state === 'history' ? ' as a whole' : ''
  return [{ at: dateOf(at), table, what: `${next.name.name} expires${whole}`, bytes: next.bytes }]
}

function runwayEnds({ table, runway, set: { policy } }: SeenSet): Coming[] {
  if (runway === null || runway === 'missing' || policy.kind === 'id') return []
  const at = dateOf(instantAt(policy.kind, runway, policy.timezone))
  return [{ at, table, what: 'the last partition ends: rotate has to create more before', bytes: null }]
}

export function comingSection(coming: readonly Coming[]): Html {
  const shown = coming.slice(0, MOST)
  const more = coming.length - shown.length
  return html`<section id="coming">
    <h2>Due next</h2>
    ${
      coming.length === 0
        ? html`<p>Nothing is known to be due.</p>`
        : table(
            'Partitions are created and retired by ebb rotate or ebb run; the dates are when that becomes possible.',
            [{ title: 'When' }, { title: 'Table' }, { title: 'What' }, { title: 'Size', figure: true }],
            shown.map((one) => [
              one.at === null ? html`<strong>next rotation</strong>` : moment(one.at),
              html`<bdi>${display(one.table)}</bdi>`,
              one.what,
              bytes(one.bytes),
            ]),
          )
    }${more > 0 ? html`<p>… and ${more} more later.</p>` : null}
  </section>`
}
