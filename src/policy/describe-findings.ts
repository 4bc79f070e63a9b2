import { display } from '../sql/names.ts'
import { columns } from '../text/columns.ts'
import type { Finding, Level } from './findings.ts'

export type FindingsFormat = 'text' | 'json' | 'prometheus' | 'nagios'

const LEVELS: readonly Level[] = ['critical', 'warning', 'due']

/** For people. */
export function describeFindings(findings: readonly Finding[]): string[] {
  if (findings.length === 0) return ['Nothing is due, and nothing is wrong.']
  return columns(findings.map(({ level, code, text }) => [level, code, text]))
}

/** One line, and what a graph can show, as the plugins of Nagios and its descendants print it. */
export function findingsForNagios(findings: readonly Finding[]): string {
  const texts = findings.filter(({ level }) => level !== 'due').map(({ text }) => text.replaceAll('|', '/'))
  const counts = LEVELS.map((level) => `${level}=${countOf(findings, level)}`)
  return `EBB ${nagiosState(findings)} - ${texts.length === 0 ? 'nothing is wrong' : texts.join('; ')} | ${counts.join(' ')}`
}

export function nagiosState(findings: readonly Finding[]): 'OK' | 'WARNING' | 'CRITICAL' {
  if (countOf(findings, 'critical') > 0) return 'CRITICAL'
  return countOf(findings, 'warning') > 0 ? 'WARNING' : 'OK'
}

/** In the text format of Prometheus, for its textfile collector. */
export function findingsForPrometheus(findings: readonly Finding[]): string[] {
  return [
    '# HELP ebb_findings What ebb check has found, by level.',
    '# TYPE ebb_findings gauge',
    ...LEVELS.map((level) => `ebb_findings{level="${level}"} ${countOf(findings, level)}`),
    '# HELP ebb_finding Each kind of finding of a table.',
    '# TYPE ebb_finding gauge',
    ...samples(findings),
  ]
}

/** A series may occur once only. */
function samples(findings: readonly Finding[]): string[] {
  const counts = new Map<string, number>()
  for (const { level, code, table } of findings) {
    const labels = { level, code, table: table === null ? '' : display(table) }
    const series = `ebb_finding{${Object.entries(labels)
      .map(([name, value]) => `${name}="${escaped(value)}"`)
      .join(',')}}`
    counts.set(series, (counts.get(series) ?? 0) + 1)
  }
  return [...counts].map(([series, count]) => `${series} ${count}`)
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function countOf(findings: readonly Finding[], level: Level): number {
  return findings.filter((one) => one.level === level).length
}
