import type { Way, WaysAdvice } from '../plan/advise/advise.ts'
import { showAbout, showBytes, showCount, showDuration } from '../text/units.ts'
import { wrap } from '../text/comment.ts'
import { columns } from '../text/columns.ts'
import { display } from '../sql/names.ts'
import { indented } from './partitioned.ts'

const WIDTH = 112

/** A comparison of the methods with their costs and effects, and the recommendation. */
export function describeAdvice(advice: WaysAdvice): string[] {
  const { table, rows, keptRows, analyzed, bytes, kept, reading, ways, why, chosen } = advice
  const name = display(table)
  const way = ways.find(({ name }) => name === chosen)
  const share = rows === 0 ? 0 : Math.round((100 * keptRows) / rows)
  return [
    ...(ways.length === 0 ? [] : [`${name}: ${showAbout(analyzed ? rows : null)}, ${showBytes(bytes)}`]),
    ...(kept === null ? [] : wrap(`kept: ${analyzed ? `${showAbout(keptRows)} (${share} %), ` : ''}${kept}`, WIDTH)),
    ...reading.flatMap((line) => wrap(line, WIDTH)),
    ...(ways.length === 0
      ? []
      : ['', ...compare(ways), ...ways.flatMap(describeWay), '', analyzed ? FIGURES : GUESSES]),
    ...(ways.length === 0 ? [] : ['']),
    chosen === null ? 'Advice: none of them' : `Advice: ${chosen}`,
    ...wrap(why, WIDTH).map((line) => `  ${line}`),
    ...(way === undefined || way.first.length === 0 ? [] : ['', 'First:', ...way.first.map((line) => `  ${line}`)]),
    ...(way === undefined ? [] : ['', 'Show the plan, which changes nothing:', `  ${way.command}`]),
  ]
}

const FIGURES =
  'Rows are the planner’s estimates; times and WAL are rough, extrapolated from measurements on two cores.'

const GUESSES =
  'It was never analyzed, so rows are guesses from its size: analyze it, and ask again. Times and WAL follow from them.'

function compare(ways: readonly Way[]): string[] {
  const header = ['', 'rows written or deleted', 'read', 'WAL', 'time', 'disk needed', 'disk freed', '']
  return columns([header, ...ways.map(row)], [1, 2, 3, 4, 5, 6])
}

function row({ name, verdict, costs }: Way): string[] {
  const { touchedRows, readBytes, walBytes, seconds, diskBytes, freedBytes } = costs
  return [
    name,
    showCount(touchedRows),
    showBytes(readBytes),
    showBytes(walBytes),
    showDuration(seconds),
    showBytes(diskBytes),
    showBytes(freedBytes),
    VERDICT[verdict],
  ]
}

const VERDICT: Readonly<Record<Way['verdict'], string>> = {
  chosen: '<- recommended',
  possible: '',
  obstructed: 'blocked',
  'does not fit': 'cannot express the condition',
}

function describeWay({ name, what, verdict, locks, application, consumers, obstacles }: Way): string[] {
  // A method that does not fit is not described.
  if (verdict === 'does not fit') return []
  return [
    '',
    ...wrap(`${name}: ${what}`, WIDTH),
    ...indented([
      ...points('locks', locks),
      ...points('application', application),
      ...points('change-data capture', consumers),
      ...points(
        'blocked by',
        obstacles.map(({ what, fix }) => `${what}. ${fix}`),
      ),
    ]),
  ]
}

function points(title: string, texts: readonly string[]): string[] {
  return texts.length === 0
    ? []
    : [title, ...texts.flatMap((text) => wrap(text, WIDTH - 6).map((line, i) => (i === 0 ? '  - ' : '    ') + line))]
}
