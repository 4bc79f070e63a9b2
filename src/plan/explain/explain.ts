import { comment, commentWithSql } from '../../text/comment.ts'
import { display } from '../../sql/names.ts'
import { spelledOut } from '../../sql/spelled-out.ts'
import { explainArchive, explainMoving, explainRewriting } from './archive.ts'
import { explainArchivedPurge } from './archived-purge.ts'
import { explainComplete, explainCopying, explainDualWrites, isBeyondSql, STOP_PSQL } from './copy.ts'
import { explainPurging } from './purge.ts'
import { explainRestoring } from './restore.ts'
import type { Blocked, DependentObject, Lock, Objection, Plan, Step } from '../language/step.ts'

// A plan as a script: comments for people, the rest for psql. There are no
// default branches: a new kind of step does not compile until it is explained.

/** The command in the last line of the explanation. */
export interface ToDo {
  /** The whole command that carries the plan out, `--execute` included. */
  readonly command: string
}

/**
 * The plan as a script that psql can run. What Ebb does beyond it cannot be
 * written in SQL: polling for lock holders, retrying, comparing the catalogue
 * before a commit, and recording progress in the journal.
 */
export function explain(plan: Plan, todo: ToDo): string {
  return asScript([
    ...comment(plan.goal),
    ...section('Basis', plan.evidence),
    ...section('Dependent objects', plan.dependents.map(describeFate)),
    ...section('Notes', plan.notes),
    ...explainObjections(plan.objections),
    ...script(plan.steps),
    '',
    // In one line, however long, so that it can be copied.
    ...comment(conclusion(plan, todo), '', Infinity),
  ])
}

/** Escapes control characters for a terminal, without changing the SQL. */
export function asScript(lines: readonly string[]): string {
  return `${lines.map(spelledOut).join('\n')}\n`
}

/** The blocking issues, each with its fix. */
export function explainObjections(objections: readonly Objection[]): string[] {
  if (objections.length === 0) return []
  return [
    ...heading(`Blocking issues (${objections.length})`),
    ...objections.flatMap(({ code, what, fix }) => [
      ...comment(`${code}: ${what}`, '  '),
      ...commentWithSql(`fix: ${fix}`, '      '),
    ]),
  ]
}

/** The steps for psql, which has to stop at the first failure. */
export function script(steps: readonly Step[]): string[] {
  if (steps.length === 0) return []
  return [
    '',
    ...preface(steps),
    "set search_path to '';",
    ...steps.flatMap((step, position) => ['', ...explainStep(step, position, steps.length)]),
  ]
}

function preface(steps: readonly Step[]): string[] {
  if (!steps.some(isBeyondSql))
    return [
      ...comment(
        'psql stops at the first error. With --execute Ebb also waits for lock holders, retries, compares the catalogue before it commits, and can resume after an interruption.',
      ),
      '\\set ON_ERROR_STOP on',
    ]
  return [
    ...comment(
      'For reading only: some steps are not plain SQL, so psql stops here. With --execute Ebb performs them, waits for lock holders, retries, compares the catalogue before it commits, and can resume after an interruption.',
    ),
    '\\set ON_ERROR_STOP on',
    STOP_PSQL,
  ]
}

function explainStep(step: Step, position: number, of: number): string[] {
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

/** Other sessions queue behind a lock request, so a script must not wait long either. */
const LOCK_TIMEOUT = "set local lock_timeout = '50ms'"

function explainStatements(step: Step): string[] {
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
    case 'archive':
      return explainArchive(step)
    case 'move':
      return explainMoving(step)
    case 'rewrite':
      return explainRewriting(step)
    case 'archive set':
    case 'removal':
      return explainArchivedPurge(step)
    case 'restore':
      return explainRestoring(step)
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
  if (objections.length > 0) return 'Nothing has been changed. Resolve the blocking issues first.'
  if (steps.length === 0) return 'Nothing has been changed, and there is nothing to do.'
  return `Nothing has been changed. To execute: ${command}`
}

/** A heading and its lines; nothing where there are no lines. */
export function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [...heading(title), ...lines.flatMap((line) => comment(line, '  '))]
}

function heading(title: string): string[] {
  return ['--', ...comment(title)]
}
