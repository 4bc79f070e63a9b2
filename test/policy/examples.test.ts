import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { readConfig } from '../../src/policy/read-config.ts'
import { nameOf } from '../../src/requests/option.ts'
import { RUN } from '../../src/requests/policies.ts'

// Files to copy. Nobody starts cron or Kubernetes here: what they would start is compared with what there is.

const FLAGS = Object.values(RUN.options).map(({ flags }) => `--${nameOf(flags)}`)
const FILES = ['ebb.cron', 'ebb.service', 'ebb-cronjob.yaml', 'ebb-github-actions.yaml']

const textOf = (file: string) => readFileSync(`docs/examples/${file}`, 'utf8')

test.for(FILES)('%s starts ebb run with flags that there are', (file) => {
  const text = textOf(file)
  const flags = [...text.matchAll(/--[a-z-]+/g)]
    .map(([flag]) => flag)
    .filter((flag) => !['--yes', '--package', '--prefix'].includes(flag))
  expect(flags).toContain('--execute')
  expect(flags).toContain('--max-duration')
  expect(flags.filter((flag) => !FLAGS.includes(flag))).toEqual([])
})

interface CronJob {
  readonly spec: {
    readonly schedule: string
    readonly concurrencyPolicy: string
    readonly jobTemplate: {
      readonly spec: {
        readonly activeDeadlineSeconds: number
        readonly podFailurePolicy: { readonly rules: readonly Rule[] }
        readonly template: {
          readonly spec: { readonly restartPolicy: string; readonly containers: readonly Container[] }
        }
      }
    }
  }
}

interface Rule {
  readonly action: string
  readonly onExitCodes?: { readonly containerName: string; readonly values: readonly number[] }
  readonly onPodConditions?: unknown
}

interface Container {
  readonly name: string
  readonly command: readonly string[]
  readonly args: readonly string[]
}

test('Kubernetes tries again what another try can change, within the time, and one at a time', () => {
  const { spec } = parse(textOf('ebb-cronjob.yaml')) as CronJob
  expect(spec.concurrencyPolicy).toBe('Forbid')
  const { podFailurePolicy, activeDeadlineSeconds, template } = spec.jobTemplate.spec
  const { rules } = podFailurePolicy
  // The first rule that matches decides: a drained node comes before its exit code.
  expect(rules.map(({ action }) => action)).toEqual(['Ignore', 'FailJob', 'FailJob'])
  const final = rules.flatMap(({ onExitCodes }) => onExitCodes?.values ?? [])
  const tried: number[] = [EXIT.done, EXIT.failed, EXIT.stopped]
  expect([...final].sort()).toEqual(
    Object.values(EXIT)
      .filter((code) => !tried.includes(code))
      .sort(),
  )
  // A pod that may restart its container has no policy of failures.
  expect(template.spec.restartPolicy).toBe('Never')
  const [container] = template.spec.containers
  expect(rules.flatMap(({ onExitCodes }) => onExitCodes?.containerName ?? [])).toEqual([
    container!.name,
    container!.name,
  ])
  // npx passes no signal on.
  expect(container!.command[0]).toBe('/opt/ebb/node_modules/.bin/ebb')
  const { args } = container!
  const mostMs = RUN.options.maxDuration.parse(args[args.indexOf('--max-duration') + 1])
  expect(activeDeadlineSeconds * 1000).toBeGreaterThan(mostMs!)
})

test('systemd and GitHub count as success what the next run continues', () => {
  expect(textOf('ebb.service')).toContain(`\nSuccessExitStatus=${EXIT.stopped} ${EXIT.tryLater}\n`)
  const { jobs, concurrency } = parse(textOf('ebb-github-actions.yaml')) as {
    jobs: { run: { 'timeout-minutes': number; steps: { run?: string }[] } }
    concurrency: { 'cancel-in-progress': boolean }
  }
  expect(concurrency['cancel-in-progress']).toBe(false)
  expect(jobs.run.steps.at(-1)?.run).toMatch(new RegExp(`\\|\\| test \\$\\? -eq ${EXIT.tryLater}$`))
  expect(jobs.run['timeout-minutes']).toBeGreaterThan(4 * 60)
})

test('the line of cron has what a file in cron.d has, and nothing that cron reads otherwise', () => {
  const [line, ...others] = textOf('ebb.cron')
    .split('\n')
    .filter((one) => /^[\d*]/.test(one))
  expect(others).toEqual([])
  expect(line).toMatch(/^(?:[\d*]+ ){5} ?ebb +\S/)
  // Unescaped, it ends the command.
  expect(line).not.toContain('%')
})

test('all start at the same time of the night', () => {
  const actions = parse(textOf('ebb-github-actions.yaml')) as { on: { schedule: { cron: string }[] } }
  const job = parse(textOf('ebb-cronjob.yaml')) as CronJob
  expect([job.spec.schedule, actions.on.schedule[0]?.cron]).toEqual(['10 1 * * *', '10 1 * * *'])
  expect(textOf('ebb.cron')).toContain('\n10 1 * * *  ebb')
  expect(textOf('ebb.timer')).toContain('\nOnCalendar=*-*-* 01:10:00\n')
})

test('the configs are right', async () => {
  expect((await readConfig('docs/examples/ebb.config.yaml', {})).policies).toHaveLength(3)
  expect((await readConfig('docs/examples/ebb.config.ts', {})).policies).toHaveLength(1)
})
