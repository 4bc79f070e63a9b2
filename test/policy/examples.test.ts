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
    .filter((flag) => !['--yes', '--package'].includes(flag))
  expect(flags).toContain('--execute')
  expect(flags).toContain('--max-duration')
  expect(flags.filter((flag) => !FLAGS.includes(flag))).toEqual([])
})

test('the exit codes they know are those that there are', () => {
  const job = parse(textOf('ebb-cronjob.yaml')) as {
    spec: {
      concurrencyPolicy: string
      jobTemplate: { spec: { podFailurePolicy: { rules: { onExitCodes?: { values: number[] } }[] } } }
    }
  }
  expect(job.spec.concurrencyPolicy).toBe('Forbid')
  const [final] = job.spec.jobTemplate.spec.podFailurePolicy.rules
  expect(final?.onExitCodes?.values).toEqual([EXIT.usage, EXIT.objections, EXIT.bug])
  expect(textOf('ebb.service')).toContain(`SuccessExitStatus=${EXIT.tryLater}\n`)
  expect(textOf('ebb-github-actions.yaml')).toContain(`-eq ${EXIT.tryLater}\n`)
  expect(parse(textOf('ebb-github-actions.yaml'))).toHaveProperty('jobs.run')
})

test('the configs are right', async () => {
  expect((await readConfig('docs/examples/ebb.config.yaml', {})).policies).toHaveLength(3)
  expect((await readConfig('docs/examples/ebb.config.ts', {})).policies).toHaveLength(1)
})
