import { placeOf, type Address } from '../../db/session.ts'
import { checkPolicies } from '../../policy/check-policies.ts'
import {
  describeFindings,
  findingsForNagios,
  nagiosState,
  samplesOfFindings,
  troubleOfFinding,
} from '../../policy/describe-findings.ts'
import type { Finding } from '../../policy/findings.ts'
import { readConfig, readConfigIfAny } from '../../policy/read-config.ts'
import { tellError } from '../../report/error-text.ts'
import { toJson } from '../../report/json.ts'
import { prometheusText } from '../../report/metrics.ts'
import { CHECK } from '../../requests/policies.ts'
import { toText } from '../../text/comment.ts'
import { commandLine, type Asked } from '../command.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'

/** `ebb check`: what is due and what is wrong, for monitors. */
export const checkCommand = commandLine(
  CHECK,
  {
    description:
      'Compares the config with the database: what the next ebb run would do, and what somebody should look at. Quick, and changes nothing. Without a config it reports what the journal shows.',
  },
  async (asked, { only, format }, { config: file, journalSchema }) => {
    const { env } = asked.invocation.context
    try {
      const config = file === null ? await readConfigIfAny(env) : await readConfig(file, env)
      const schema = journalSchema ?? config?.journalSchema ?? asked.engine.journalSchema
      const findings = await checkPolicies(asked.target, config, only, { ...asked.engine, journalSchema: schema })
      show(asked, findings, format, config !== null)
    } catch (error) {
      if (format !== 'nagios') throw error
      asked.reporter.show('check', [], () => toText([`EBB UNKNOWN - ${tellError(error).message.split('\n')[0]}`]))
      asked.invocation.end(NAGIOS.UNKNOWN)
    }
  },
)

/** As plugins of Nagios end. */
const NAGIOS: Readonly<Record<'OK' | 'WARNING' | 'CRITICAL' | 'UNKNOWN', ExitCode>> = {
  OK: 0,
  WARNING: 1,
  CRITICAL: 2,
  UNKNOWN: 3,
}

function show(
  { reporter, invocation, notes, target }: Asked<Address>,
  findings: readonly Finding[],
  format: string,
  withConfig: boolean,
): void {
  const samples = samplesOfFindings(findings)
  notes.note(samples, findings.map(troubleOfFinding))
  reporter.show('check', findings, () => {
    switch (format) {
      case 'nagios':
        return toText([findingsForNagios(findings, withConfig)])
      case 'prometheus':
        return prometheusText(samples, { database: placeOf(target) })
      case 'json':
        return toText([toJson({ type: 'check', check: findings })])
      default:
        return toText(describeFindings(findings, withConfig))
    }
  })
  if (format === 'nagios') invocation.end(NAGIOS[nagiosState(findings)])
  else if (findings.length > 0) invocation.end(EXIT.objections)
}
