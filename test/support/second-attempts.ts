import type { Reporter, TestCase } from 'vitest/node'

// A test that fails once among thousands on a busy machine is tried again there, and named at the end with what it said:
// it is to be mended all the same.

export default class SecondAttempts implements Reporter {
  private readonly seen: TestCase[] = []

  onTestCaseResult(test: TestCase): void {
    if (test.diagnostic()?.flaky === true) this.seen.push(test)
  }

  onTestRunEnd(): void {
    if (this.seen.length > 0) console.log(`\n${this.seen.map(told).join('\n')}`)
  }
}

function told(test: TestCase): string {
  const reasons = (test.result().errors ?? []).map(({ message }) => `  ${message.split('\n', 1)[0]}`)
  return [`passed at the second attempt only: ${test.module.relativeModuleId} > ${test.fullName}`, ...reasons].join(
    '\n',
  )
}
