import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { PROJECT, readPage } from './pages.ts'

// Workflows, the image and what contributors are told name scripts and versions, and nothing here runs them.

const WORKFLOWS = '.github/workflows'

interface Manifest {
  readonly scripts: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}

const { scripts, devDependencies } = JSON.parse(readPage('package.json')) as Manifest

test.each(['CONTRIBUTING.md', ...readdirSync(join(PROJECT, WORKFLOWS)).map((name) => join(WORKFLOWS, name))])(
  '%s calls scripts that are there',
  (path) => {
    const text = readFileSync(join(PROJECT, path), 'utf8')
    const named = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name = '']) => name)
    expect(named.filter((name) => !(name in scripts))).toEqual([])
    const files = [...text.matchAll(/(?<![\w/])(?:\.ci|scripts)\/[\w.-]+/g)].map(([file]) => file)
    expect(files.filter((file) => !existsSync(join(PROJECT, file)))).toEqual([])
  },
)

test.each(readdirSync(join(PROJECT, WORKFLOWS)))('%s has jobs that end', (name) => {
  const { jobs } = parse(readPage(join(WORKFLOWS, name))) as { jobs: Record<string, Record<string, unknown>> }
  const endless = Object.entries(jobs).filter(([, job]) => !job['timeout-minutes'] && !job.uses)
  expect(endless.map(([job]) => job)).toEqual([])
})

test('the image has the version of the SDK that is tested', () => {
  const [, version] = /@aws-sdk\/client-s3@(\S+)/.exec(readPage('Dockerfile')) ?? []
  expect(version).toBe(devDependencies['@aws-sdk/client-s3'])
})
