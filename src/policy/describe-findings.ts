import type { Sample } from '../report/metrics.ts'
import type { Trouble } from '../report/troubles.ts'
import { display } from '../sql/names.ts'
import { columns } from '../text/columns.ts'
import type { Finding, Level } from './findings.ts'

export type FindingsFormat = 'text' | 'json' | 'prometheus' | 'nagios'

const LEVELS: readonly Level[] = ['critical', 'warning', 'due']

/** For people. `withConfig`: whether there was one, or only the journal was asked. */
export function describeFindings(findings: readonly Finding[], withConfig: boolean): string[] {
  if (findings.length === 0)
    return [
      withConfig
        ? 'Nothing is due, and nothing is wrong.'
        : 'Nothing is due, and nothing is wrong, as far as the journal knows: there is no config in this folder (--config).',
    ]
  return columns(findings.map(({ level, code, text }) => [level, code, text]))
}

/** One line, and what a graph can show, as the plugins of Nagios and its descendants print it. */
export function findingsForNagios(findings: readonly Finding[], withConfig: boolean): string {
  const texts = findings.filter(({ level }) => level !== 'due').map(({ text }) => text.replaceAll('|', '/'))
  const counts = LEVELS.map((level) => `${level}=${countOf(findings, level)}`)
  const text = texts.length === 0 ? 'nothing is wrong' : texts.join('; ')
  return `EBB ${nagiosState(findings)} - ${text}${withConfig ? '' : ' (no config was found)'} | ${counts.join(' ')}`
}

export function nagiosState(findings: readonly Finding[]): 'OK' | 'WARNING' | 'CRITICAL' {
  if (countOf(findings, 'critical') > 0) return 'CRITICAL'
  return countOf(findings, 'warning') > 0 ? 'WARNING' : 'OK'
}

/** As metrics. */
export function samplesOfFindings(findings: readonly Finding[]): Sample[] {
  return [
    ...LEVELS.map((level): Sample => ({ metric: 'ebb_findings', labels: { level }, value: countOf(findings, level) })),
    ...findings.map(({ level, code, table }): Sample => {
      return { metric: 'ebb_finding', labels: { level, code, table: table === null ? '' : display(table) }, value: 1 }
    }),
  ]
}

/** For those who are told how a check has ended. */
export function troubleOfFinding({ code, table, text }: Finding): Trouble {
  return { table: table === null ? null : display(table), message: `${code}: ${text}` }
}

function countOf(findings: readonly Finding[], level: Level): number {
  return findings.filter((one) => one.level === level).length
}
