import type { Target } from '../db/session.ts'
import { readOverview } from '../engine/overview/overview.ts'
import type { EngineOptions } from '../engine/options.ts'
import type { ReportData } from '../report/page/data.ts'
import { readChecked } from './check-policies.ts'
import { findingsOf } from './findings.ts'
import type { Policies } from './policy.ts'

/**
 * What a report shows: what is managed, what is due and what is wrong, how runs went. Reads only; without a config, what
 * the journal alone tells.
 */
export async function readReport(
  target: Target,
  config: Policies | null,
  options: EngineOptions,
): Promise<Pick<ReportData, 'overview' | 'retired' | 'notices' | 'hasConfig'>> {
  const overview = await readOverview(target, options)
  const checked = await readChecked(target, config, [], overview.status, options)
  return { overview, retired: checked.retired, notices: findingsOf(checked), hasConfig: config !== null }
}
