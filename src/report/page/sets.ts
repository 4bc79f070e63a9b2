import { displayInterval } from '../../grid/interval.ts'
import { describeEvery } from '../../plan/rotate/policy.ts'
import { LATELY_DAYS } from '../../engine/overview/overview.ts'
import type { ArchivedOfTable } from '../../journal/rotation-history.ts'
import { display, sameName } from '../../sql/names.ts'
import { badge, noticeList, noticesOf } from './attention.ts'
import type { Notice, ReportData } from './data.ts'
import { about, bytes, count, dateOf, moment, NONE, showBound, withoutSeconds } from './figures.ts'
import { grouped, type Group } from './groups.ts'
import { html, type Content, type Html } from './html.ts'
import { expiryOf, type SeenSet } from './seen-set.ts'
import { folded, table } from './table.ts'
import { nameOf, timeline } from './timeline.ts'
import { plural } from '../../text/units.ts'

/** Of tables that are not shown there is a line only. */
const MOST_SETS = 40
/** Lines of partitions on a page, for all of its tables. */
const MOST_LINES = 2_000
const [FEWEST_LINES_OF_A_SET, MOST_LINES_OF_A_SET] = [24, 500]
const MOST_LISTED = 500

/** All tables that rotate manages, and of most important ones the timeline. */
export function setsSection(sets: readonly SeenSet[], data: ReportData): Html {
  if (sets.length === 0)
    return html`<section id="tables">
      <h2>Partitioned tables</h2>
      <p>
        No table of this database is managed by ebb rotate. <code>ebb init</code> finds tables that only grow,
        <code>ebb partition &lt;table&gt;</code> shows how one would be partitioned.
      </p>
    </section>`
  const ordered = inOrder(sets, data.notices)
  const shown = ordered.slice(0, MOST_SETS)
  const lines = Math.round(MOST_LINES / shown.length)
  const most = Math.min(MOST_LINES_OF_A_SET, Math.max(FEWEST_LINES_OF_A_SET, lines))
  return html`<section id="tables">
      <h2>Partitioned tables</h2>
      ${listed(ordered, data)}${
        ordered.length > shown.length ? html`<p>The first ${shown.length} are shown in detail.</p>` : null
      }
    </section>
    ${shown.map((seen, i) => setSection(seen, `t${i + 1}`, most, data))}`
}

const LEVELS: readonly Notice['level'][] = ['critical', 'warning', 'due']

/** What needs attention first, then the largest. */
function inOrder(sets: readonly SeenSet[], notices: readonly Notice[]): SeenSet[] {
  const worst = new Map(
    sets.map(({ table }) => {
      const levels = noticesOf(notices, table).map(({ level }) => LEVELS.indexOf(level))
      return [table, Math.min(...levels, LEVELS.length)]
    }),
  )
  return sets.toSorted((a, b) => (worst.get(a.table) ?? 0) - (worst.get(b.table) ?? 0) || b.bytes - a.bytes)
}

function listed(sets: readonly SeenSet[], { notices }: ReportData): Html {
  const rows = sets.slice(0, MOST_LISTED).map((seen, i) => {
    const { policy, rotatedAt } = seen.set
    const [worst] = noticesOf(notices, seen.table)
    const name = html`<bdi>${display(seen.table)}</bdi>`
    return [
      i < MOST_SETS ? html`<a href="#t${i + 1}">${name}</a>` : name,
      worst === undefined ? 'ok' : badge(worst.level),
      bytes(seen.bytes),
      count(seen.partitions.length),
      policy.keep === null ? 'all' : displayInterval(policy.keep),
      runwayText(seen),
      rotatedAt === null ? 'never' : moment(rotatedAt),
    ]
  })
  const columns = ['Table', 'State', 'Size', 'Partitions', 'Keeps', 'Partitions until', 'Rotated']
  const more = sets.length - rows.length
  return html`${table(
    'What needs attention first, then by size.',
    columns.map((title) => ({ title, figure: title === 'Size' || title === 'Partitions' })),
    rows,
  )}${more > 0 ? html`<p>… and ${more} more.</p>` : null}`
}

function runwayText({ runway, set: { policy } }: SeenSet): Content {
  if (runway === 'missing') return 'none for new rows'
  if (runway === null) return 'no end'
  return `${showBound(runway, policy.kind, policy.timezone)}${policy.kind === 'id' ? '' : ` ${policy.timezone}`}`
}

function setSection(seen: SeenSet, id: string, mostLines: number, { notices, overview }: ReportData): Html {
  const own = noticesOf(notices, seen.table)
  const archived = overview.archived.find((one) => sameName(one.table, seen.table))
  return html`<section id="${id}" class="set" data-table="${display(seen.table)}">
    <h3><bdi>${display(seen.table)}</bdi></h3>
    ${own.length === 0 ? null : noticeList(own)} ${timeline(seen, id)} ${facts(seen, archived)}
    ${partitionList(seen, mostLines)}${removedList(seen, mostLines)}
  </section>`
}

function facts(seen: SeenSet, archived: ArchivedOfTable | undefined): Html {
  const { set, horizon, partitions } = seen
  const { policy, lately } = set
  const ahead = partitions.filter(({ state }) => state === 'ahead').length
  const grace = policy.grace === undefined ? '' : `, detached ${displayInterval(policy.grace)} before they are dropped`
  const list: (readonly [string, Content])[] = [
    [
      'Size',
      html`${bytes(seen.bytes)} in ${plural(partitions.length, 'partition')}, ${about(seen.rows)}
      ${seen.rows === null ? null : 'rows'}`,
    ],
    [
      'Key',
      html`<bdi>${policy.column}</bdi>,
        ${describeEvery(policy.every)}${policy.kind === 'id' ? '' : `, time zone ${policy.timezone}`}`,
    ],
    [
      'Keeps',
      policy.keep === null
        ? 'all rows'
        : `${displayInterval(policy.keep)}${policy.expireBy === null ? '' : ` by ${policy.expireBy}`}${horizon === null ? '' : `: rows before ${withoutSeconds(horizon.shown)} have expired`}${grace}`,
    ],
    ['Ahead', html`${plural(ahead, 'partition')} of ${policy.premake} wanted; partitions until ${runwayText(seen)}`],
    ['Last rotation', set.rotatedAt === null ? 'never' : moment(set.rotatedAt)],
    [
      `Last ${LATELY_DAYS} days`,
      lately === null
        ? 'nothing created or removed'
        : html`${count(lately.created)} created, ${count(lately.detached)} detached, ${count(lately.removed)} dropped or
          truncated (${bytes(lately.removedBytes)})`,
    ],
    ...(archived === undefined
      ? []
      : [
          [
            'Archived',
            html`${count(archived.rows)} rows in ${plural(archived.archives, 'archive')}, stored in
            ${bytes(archived.bytes)}, the latest ${moment(archived.latest)}`,
          ] as const,
        ]),
  ]
  return html`<dl class="facts">
    ${list.map(
      ([term, content]) =>
        html`<div>
          <dt>${term}</dt>
          <dd>${content}</dd>
        </div>`,
    )}
  </dl>`
}

function partitionList(seen: SeenSet, most: number): Html {
  const { policy } = seen.set
  const zone = policy.kind === 'id' ? '' : ` (${policy.timezone})`
  const groups = grouped(seen.partitions, most)
  return folded(
    `All ${plural(seen.partitions.length, 'partition')} as a table`,
    [
      ...[
        { title: 'Partition' },
        { title: `From${zone}` },
        { title: `To${zone}` },
        { title: 'State' },
        { title: 'Expires' },
      ],
      ...[
        { title: 'Rows', figure: true },
        { title: 'Size', figure: true },
      ],
    ],
    groups.map((group) => [
      html`<bdi>${nameOf(group)}</bdi>`,
      bound(group.span, 'from', seen),
      bound(group.span, 'to', seen),
      group.state,
      expiry(group, seen),
      about(group.rows),
      bytes(group.bytes),
    ]),
  )
}

function bound(span: Group['span'], end: 'from' | 'to', { set: { policy } }: SeenSet): Content {
  if (span === null) return NONE
  const position = span[end]
  if (position === null) return end === 'from' ? 'the beginning' : 'no end'
  return showBound(position, policy.kind, policy.timezone)
}

function expiry({ partitions }: Group, { horizon }: SeenSet): Content {
  const last = partitions.at(-1)
  const at = last === undefined ? null : expiryOf(last, horizon)
  return at === null ? NONE : moment(dateOf(at))
}

/** The last ones. */
function removedList(seen: SeenSet, most: number): Html | null {
  const shown = seen.removed.toReversed().slice(0, most)
  if (shown.length === 0) return null
  const all = seen.removed.length
  return folded(
    all > shown.length
      ? `The last ${shown.length} of ${plural(all, 'removed partition')}`
      : `${plural(all, 'removed partition')}`,
    [
      ...[{ title: 'Partition' }, { title: 'From' }, { title: 'To' }, { title: 'Removed' }, { title: 'How' }],
      ...[
        { title: 'Rows archived', figure: true },
        { title: 'Size', figure: true },
      ],
    ],
    shown.map((one) => [
      html`<bdi>${one.partition}</bdi>`,
      bound(one.span, 'from', seen),
      bound(one.span, 'to', seen),
      moment(one.at),
      one.archivedRows === null ? one.action : `archived and ${one.action}`,
      count(one.archivedRows),
      bytes(one.bytes),
    ]),
  )
}
