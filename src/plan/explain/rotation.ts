import { displayInterval } from '../../grid/interval.ts'
import { columns } from '../../text/columns.ts'
import { comment } from '../../text/comment.ts'
import { display } from '../../sql/names.ts'
import { asScript, explainObjections, script, section, type ToDo } from './explain.ts'
import type { Retirement, RotationPlan } from '../rotate/plan.ts'
import { showBytes, showCount, showRows } from '../../text/units.ts'

/** The rotation of one set as a script: partitions to create, to retire and to keep, with reasons, and the statements. */
export function explainRotation(plan: RotationPlan, todo: ToDo): string {
  const { create, retire, withheld, skipped, finalize, leftovers, leftThere, watch } = plan
  const unfinished = [
    ...[...finalize, ...watch, ...leftovers].map(({ step }) => step),
    ...leftThere.map(({ drop }) => drop),
  ]
  return asScript([
    ...comment(plan.goal),
    ...section('Basis', plan.evidence),
    ...section(
      `Finish (${unfinished.length})`,
      unfinished.map(({ title, because }) => `${title}: ${because}`),
    ),
    ...section(
      `Create (${create.length})`,
      columns(
        create.map(({ partition, shown, rows }) => [
          display(partition),
          ...range(shown),
          rows === 0 ? '' : `${showRows(rows)} from the DEFAULT partition`,
        ]),
      ),
    ),
    ...section(`Retire (${retire.length}), oldest first`, describeRetirements(retire)),
    ...section(`Withheld (${withheld.length}): see the blocking issues`, describeRetirements(withheld)),
    ...section(
      `Kept (${skipped.length})`,
      skipped.map(({ partition, reason }) => `${display(partition)}: ${reason}`),
    ),
    ...section('History partition', describeHistory(plan)),
    ...section('Notes', plan.notes),
    ...explainObjections(plan.objections),
    ...script(plan.steps),
    '',
    ...comment(conclusion(plan, todo), '', Infinity),
  ])
}

function describeRetirements(retirements: readonly Retirement[]): string[] {
  const rows = retirements.map(({ partition, method, shown, rows, bytes, newest, grace }) => [
    grace === null ? method : 'detach',
    display(partition.name),
    ...range(shown),
    rows === null ? 'rows unknown' : `${showCount(rows)} rows`,
    showBytes(bytes),
    newest === null ? '' : `newest ${newest}`,
    grace === null ? '' : `dropped ${displayInterval(grace)} later`,
  ])
  return columns(rows, [4, 5])
}

function range({ from, to }: { readonly from: string; readonly to: string }): string[] {
  return [`from ${from}`, `until ${to}`]
}

function describeHistory({ historyGoesOn }: RotationPlan): string[] {
  if (historyGoesOn === null) return []
  return [`${display(historyGoesOn.partition)} expires as a whole on ${historyGoesOn.shown}`]
}

function conclusion({ forgets, objections, steps }: RotationPlan, { command }: ToDo): string {
  if (forgets) return `Nothing has been changed. To execute: ${command}`
  if (steps.length === 0)
    return objections.length === 0
      ? 'Nothing has been changed, and there is nothing to do.'
      : 'Nothing has been changed. Resolve the blocking issues first.'
  const all = objections.length === 0 ? 'To execute' : 'To execute what is not blocked'
  return `Nothing has been changed. ${all}: ${command}`
}
