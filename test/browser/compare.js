// What the browser shows of a report, and what SQL says.

import assert from 'node:assert/strict'
import { sql } from './databases.js'

/** Compares every figure of the tables and of the runs, with their charts. */
export async function compare(page, url, what) {
  await compareOverview(page, url, what)
  await compareRuns(page, url, what)
  await compareSeen(url, what)
}

async function compareOverview(page, url, what) {
  const shown = await page.$$eval('section.set', (sets) =>
    sets.map((set) => ({ table: set.dataset.table, size: set.querySelector('dl data').value })),
  )
  const managed = await sql(
    url,
    `select format('%I.%I', schema_name, table_name) as table, (select sum(pg_total_relation_size(relid)) from
       pg_partition_tree(format('%I.%I', schema_name, table_name)::regclass) where isleaf)::text as size from ebb.partition_set order by 1`,
  ).catch(() => [])
  // As people write names: in quotes where SQL needs them.
  assert.deepEqual(
    shown.toSorted((a, b) => (a.table < b.table ? -1 : 1)),
    managed,
    what,
  )
  const runs = await page.$$eval('#runs tbody tr', (lines) =>
    lines.map((line) => [...line.cells].map((cell) => cell.querySelector('data')?.value ?? cell.textContent.trim())),
  )
  const journal = await sql(
    url,
    `select id::text, coalesce((select sum(rows)::text from (select rows, run_id from ebb.purge_batch union all select rows, run_id from ebb.chunk) b where run_id = r.id), '–') as rows,
       (select sum(v::float8) from ebb.pace_interval, jsonb_each_text(paused) p (k, v) where run_id = r.id) as paused from ebb.run r order by id desc`,
  ).catch(() => [])
  assert.deepEqual(
    runs.map(([id]) => id).toSorted((a, b) => b - a),
    journal.map(({ id }) => id),
    what,
  )
  for (const { id, rows, paused } of journal) {
    const line = runs.find(([first]) => first === id)
    assert.equal(line[5], rows, `${what}: rows of run ${id}`)
    if (paused !== null)
      assert.ok(Math.abs(Number(line[6]) - paused) < 0.001, `${what}: pauses of run ${id}: ${line[6]}, ${paused}`)
  }
}

/** The charts of runs, the tables below them and the figures beside them, and what the journal says. */
async function compareRuns(page, url, what) {
  const shown = await page.$$eval('section.run', seenRuns)
  for (const { id, facts, charts, pieces, pace } of shown) {
    const where = `${what}: run ${id}`
    const intervals = await sql(url, INTERVALS, [id])
    if (intervals.length <= 60) assert.deepEqual(pace, intervals.map(asShown), where)
    for (const [kind, valueOf] of Object.entries(VALUES))
      compareChart(charts[kind], intervals, valueOf, `${where}, ${kind}`)
    await comparePieces(pieces, charts.latency, url, id, where)
    const [known] = await sql(url, FIGURES, [id])
    for (const [name, value] of Object.entries(known))
      assert.ok(value === null || facts[name].includes(String(value)), `${where}: ${name} ${facts[name]}, not ${value}`)
  }
}

const INTERVALS = `select (extract(epoch from from_at) * 1000)::float8 as from, (extract(epoch from to_at) * 1000)::float8 as to, turns, paused,
  lag_bytes::float8 as lag, waits, longest_wait_ms as longest from ebb.pace_interval where run_id = $1 order by number`

const FIGURES = `select max(lag_bytes)::float8 as "Replica lag", sum(waits)::int as "Waits seen", (select max(longest_wait_ms) from ebb.step where run_id = $1
  and held_ms is not null) as "Short locks" from ebb.pace_interval where run_id = $1`

const paused = (one) => Object.values(one.paused).reduce((sum, ms) => sum + ms, 0)

/** What the heights of charts stand for; of those without a value there is no bar. */
const VALUES = {
  paused: (one) => Math.min(1, paused(one) / Math.max(1, one.to - one.from)),
  lag: (one) => one.lag ?? 0,
  waits: (one) => one.longest ?? 0,
}

function asShown(one) {
  return {
    turns: one.turns,
    lag: one.lag,
    waits: one.waits,
    longest: one.longest,
    reasons: Object.keys(one.paused).sort(),
  }
}

/** Bars are where their interval is in time, and as high as its value is. */
function compareChart(bars, intervals, valueOf, where) {
  const drawn = intervals.filter((one) => valueOf(one) > 0)
  if (intervals.length > 60) return
  if (drawn.length === 0) return assert.equal(bars, undefined, where)
  assert.equal(bars.length, drawn.length, where)
  const most = bars.kind === 'paused' ? 1 : Math.max(...drawn.map(valueOf))
  for (const [i, one] of drawn.entries()) {
    const height = Math.max(2, (60 * valueOf(one)) / (where.endsWith('paused') ? 1 : most))
    assert.ok(Math.abs(bars[i].height - height) < 0.1, `${where}: bar ${i} is ${bars[i].height} high, not ${height}`)
  }
  for (let i = 1; i < bars.length; i++)
    assert.ok(bars[i].x >= bars[i - 1].x, `${where}: bar ${i} is not after the one before`)
}

/** Each line of the table of batches and chunks against the rows of the journal that it stands for. */
async function comparePieces(pieces, bars, url, id, where) {
  assert.equal(bars?.length ?? 0, pieces.length, `${where}: bars of latency`)
  for (const [i, one] of pieces.entries()) {
    const [known] = await sql(
      url,
      `select count(*)::int as count, sum(rows)::int as rows, percentile_cont(0.5) within group (order by milliseconds) as median, max(milliseconds) as slowest
       from (select 'batches' as kind, at, rows, milliseconds from ebb.purge_batch where run_id = $1 union all
         select 'chunks', at, rows, milliseconds from ebb.chunk where run_id = $1 union all
         select 'compared ranges', at, rows, milliseconds from ebb.comparison where run_id = $1) p
       where kind = $2 and date_trunc('milliseconds', at) between $3 and $4`,
      [id, one.kind, one.from, one.to],
    )
    assert.deepEqual(
      { count: one.count, rows: one.rows, median: one.median, slowest: one.slowest },
      known,
      `${where}: line ${i}`,
    )
  }
  const slowest = Math.max(...pieces.map((one) => one.slowest))
  for (const [i, { slowest: value, median }] of pieces.entries()) {
    const heights = [value, median].map((ms) => Math.max(2, (60 * ms) / slowest))
    assert.ok(
      Math.abs(bars[i].height - heights[0]) < 0.1 && Math.abs(bars[i].inner - heights[1]) < 0.1,
      `${where}: bar of line ${i}`,
    )
  }
}

/** What somebody beside the runs has seen, if that was kept (databases.js): the same, as far as samples can tell. */
async function compareSeen(url, what) {
  const seen = await sql(url, 'select what, most from seen').catch(() => [])
  for (const { what: name, most } of seen) {
    const [kind, table] = name.split(' ')
    const [known] = await sql(
      url,
      `select max(lag_bytes)::float8 as lag, max(longest_wait_ms) as wait from ebb.pace_interval i join ebb.run r on r.id = i.run_id where r.table_name = $1`,
      [table],
    )
    if (kind === 'lag')
      assert.ok(Math.abs(known.lag - most) < most / 10, `${what}: lag of ${table}: ${known.lag}, seen ${most}`)
    else assert.ok(known.wait > 0 && known.wait <= most, `${what}: waits for ${table}: ${known.wait}, seen ${most}`)
  }
  if (what.startsWith('paced')) assert.equal(seen.length, 3, what)
}

/** Run by the browser. */
function seenRuns(sections) {
  const valueOf = (cell) => (cell.querySelector('data') === null ? null : Number(cell.querySelector('data').value))
  const timeOf = (cell) => cell.querySelector('time').dateTime
  return sections.map((section) => {
    const facts = [...section.querySelectorAll('.facts > div')].map((fact) => [
      fact.querySelector('dt').textContent,
      [...fact.querySelectorAll('data')].map(({ value }) => value),
    ])
    const charts = {}
    for (const kind of ['latency', 'paused', 'lag', 'waits'])
      for (const bar of section.querySelectorAll(`svg rect.${kind}`))
        (charts[kind] ??= []).push({
          x: Number.parseFloat(bar.getAttribute('x')),
          height: Number(bar.getAttribute('height')),
          inner: Number(bar.parentElement.querySelector('.median')?.getAttribute('height')),
        })
    const linesOf = (title) =>
      [...section.querySelectorAll('details')]
        .filter((details) => details.querySelector('summary').textContent.includes(title))
        .flatMap((details) => [...details.querySelectorAll('tbody tr')].map(({ cells }) => [...cells]))
    return {
      id: section.dataset.run,
      facts: Object.fromEntries(facts),
      charts,
      pieces: linesOf('The ').map(([from, to, kind, count, rows, median, slowest]) => ({
        ...{ from: timeOf(from), to: timeOf(to), kind: kind.textContent.trim() },
        ...{ count: valueOf(count), rows: valueOf(rows), median: valueOf(median), slowest: valueOf(slowest) },
      })),
      pace: linesOf('Pauses, lag').map(([, , turns, lag, waits, longest, reasons]) => ({
        ...{ turns: valueOf(turns), lag: valueOf(lag), waits: valueOf(waits), longest: valueOf(longest) },
        reasons: reasons.textContent
          .trim()
          .split(', ')
          .filter((reason) => reason !== 'none')
          .map((reason) => reason.replace(/ [\d.,]+ \w+$/, ''))
          .sort(),
      })),
    }
  })
}
