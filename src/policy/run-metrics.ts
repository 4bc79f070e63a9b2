import type { Sample } from '../report/metrics.ts'
import { failure, samplesOfPurge, samplesOfRotation } from '../report/result-metrics.ts'
import type { PolicyReport, RunReport } from './run-policies.ts'

/** What `ebb run` has done, policy by policy. */
export function samplesOfRun({ policies, ahead }: RunReport): Sample[] {
  return [...policies, ...ahead].flatMap(samplesOfPolicy)
}

function samplesOfPolicy({ table, rotation, purged, objections, failed }: PolicyReport): Sample[] {
  return [
    ...(rotation === null ? [] : samplesOfRotation(rotation)),
    ...purged.flatMap(samplesOfPurge),
    failure(table, objections.length + failed.length),
  ]
}
