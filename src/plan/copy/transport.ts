import type { NotCopyable } from '../../catalog/table/not-copyable.ts'
import { objection } from '../language/objection.ts'
import type { RebuildPlan } from './summary.ts'

/** The plan by a transport that takes all values: where COPY may refuse some, rows stay in the server. */
export function withTransport<Copy extends RebuildPlan>(plan: Copy, columns: readonly NotCopyable[]): Copy {
  if (columns.length === 0 || plan.rebuild === null) return plan
  const why = columns.map(({ column, type, because }) =>
    because === 'no binary form'
      ? `column ${column} has no binary form (${type})`
      : `column ${column} is of domain ${type}, which has a constraint that is NOT VALID`,
  )
  if (plan.steps.some((step) => step.kind === 'copy' && step.transport === 'copy')) {
    const refused = objection(
      'transport-copy',
      `COPY cannot be relied on: ${why.join('; ')}`,
      'Let it be --transport server, which takes every value that the table has.',
    )
    return { ...plan, steps: [], rebuild: null, objections: [...plan.objections, refused] }
  }
  const steps = plan.steps.map((step) => (step.kind === 'copy' ? { ...step, transport: 'server' as const } : step))
  return { ...plan, steps, notes: [...plan.notes, `rows are copied within the server: ${why.join('; ')}`] }
}
