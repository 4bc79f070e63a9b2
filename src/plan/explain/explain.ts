import { comment } from '../../text/comment.ts'
import { display } from '../../sql/names.ts'
import { spelledOut } from '../../sql/spelled-out.ts'
import { explainComplete, explainCopying, explainDualWrites, isBeyondSql, STOP_PSQL } from './copy.ts'
import { explainPurging } from './purge.ts'
import type { RotationStep } from '../rotate/step.ts'
import type { Blocked, DependentObject, Lock, Objection, Plan, Step } from '../language/step.ts'

// A plan as a script: people read the comments, psql runs the rest. No default
// branches: a new kind of step does not compile until it can be explained.

/** What the last line of an explanation says to type. */
export interface ToDo {
  /** The whole command that carries the plan out, `--execute` included. */
  readonly command: string
}

/**
 * The plan as a script that psql can run. What Ebb does beyond it cannot be
 * written in SQL: waiting for lock holders by looking, trying again, comparing
 * the catalogue before a commit, and remembering how far it came.
 */
export function explain(plan: Plan, todo: ToDo): string {
  return asScript([
    ...comment(plan.goal),
    ...section('What this rests on', plan.evidence),
    ...section('What becomes of everything that hangs on it', plan.dependents.map(describeFate)),
    ...section('Worth knowing', plan.notes),
    ...explainObjections(plan.objections),
    ...script(plan.steps),
    '',
    // In one line, however long: it is there to be copied.
    ...comment(conclusion(plan, todo), '', Infinity),
  ])
}

/** A script that is still the same SQL, and on a terminal nothing but text. */
export function asScript(lines: readonly string[]): string {
  return `${lines.map(spelledOut).join('\n')}\n`
}

/** Reasons not to start, each with its way out. */
export function explainObjections(objections: readonly Objection[]): string[] {
  if (objections.length === 0) return []
  return [
    ...heading(`Reasons not to start (${objections.length})`),
    ...objections.flatMap(({ code, what, fix: fix }) => [
      ...comment(`${code}: ${what}`, '  '),
      ...comment(`way out: ${fix}`, '      '),
    ]),
  ]
}

/** The steps, ready for psql, which must stop where one fails. */
export function script(steps: readonly (Step | RotationStep)[]): string[] {
  if (steps.length === 0) return []
  return [
    '',
    ...preface(steps),
    "set search_path to '';",
    ...steps.flatMap((step, position) => ['', ...explainStep(step, position, steps.length)]),
  ]
}

function preface(steps: readonly (Step | RotationStep)[]): string[] {
  if (!steps.some(isBeyondSql))
    return [
      ...comment(
        'psql stops at the first thing that fails. With --execute Ebb also waits for whoever holds a lock, tries again, compares the catalogue before it commits, goes on after an interruption, and remembers what rotate has to keep.',
      ),
      '\\set ON_ERROR_STOP on',
    ]
  return [
    ...comment(
      'To be read: some steps are no plain SQL, so psql stops here. With --execute Ebb does them, waits for whoever holds a lock, tries again, compares the catalogue before it commits, and goes on after an interruption.',
    ),
    '\\set ON_ERROR_STOP on',
    STOP_PSQL,
  ]
}

function explainStep(step: Step | RotationStep, position: number, of: number): string[] {
  return [
    ...comment(`Step ${position + 1} of ${of}: ${step.title}`),
    ...comment(`why:   ${step.because}`, '  '),
    ...(step.locks.length === 0 ? comment('locks: none', '  ') : step.locks.flatMap(explainLock)),
    ...(step.cost === '' ? [] : comment(`cost:  ${step.cost}`, '  ')),
    ...explainStatements(step),
  ]
}

function explainLock(lock: Lock): string[] {
  const held = lock.held === 'milliseconds' ? 'for milliseconds' : 'while it runs'
  return comment(`locks: ${display(lock.table)} in ${lock.mode} ${held}, which blocks ${BLOCKS[lock.blocks]}`, '  ')
}

const BLOCKS: Readonly<Record<Blocked, string>> = {
  nothing: 'neither reads nor writes',
  writes: 'writes',
  'reads and writes': 'reads and writes',
}

/** Others queue behind a lock we wait for, so a script must not wait long either. */
const LOCK_TIMEOUT = "set local lock_timeout = '50ms'"

function explainStatements(step: Step | RotationStep): string[] {
  switch (step.kind) {
    case 'dry run':
      return complete(['begin', ...step.statements, 'rollback'])
    case 'index':
    case 'drop index':
    case 'detach':
    case 'vacuum':
    case 'alone':
      return complete(step.statements)
    case 'copy':
    case 'reconcile':
    case 'verify':
      return explainCopying(step)
    case 'purge':
    case 'check':
      return explainPurging(step)
    case 'online':
      return complete(['begin', ...step.statements, 'commit'])
    case 'short lock':
      return complete(['begin', LOCK_TIMEOUT, ...step.acquire, ...step.statements, 'commit'])
    case 'swap':
      return [
        ...(step.work === null ? [] : explainDualWrites(step.work)),
        ...complete(['begin', LOCK_TIMEOUT, ...step.acquire]),
        ...(step.work === null ? [] : explainComplete(step.work)),
        ...complete([...step.statements, 'commit']),
      ]
  }
}

function complete(statements: readonly string[]): string[] {
  return statements.map((statement) => `${statement};`)
}

function describeFate({ name: thing, outcome: fate, how }: DependentObject): string {
  return `${fate.padEnd('carried'.length)}  ${thing}: ${how}`
}

function conclusion({ objections, steps }: Plan, { command }: ToDo): string {
  if (objections.length > 0)
    return 'Nothing has been changed. It cannot be done until these reasons are out of the way.'
  if (steps.length === 0) return 'Nothing has been changed, and there is nothing to do.'
  return `Nothing has been changed. To do it: ${command}`
}

/** A heading and its lines; nothing at all where there are none. */
export function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [...heading(title), ...lines.flatMap((line) => comment(line, '  '))]
}

function heading(title: string): string[] {
  return ['--', ...comment(title)]
}
