import { spawnSync } from 'node:child_process'

// Hundreds of randomised rounds of the history checks: `npm run soak -- 500` (200 otherwise), about two seconds each.
// A round that fails prints the seed that repeats it: EBB_TEST_SEED=<seed> npx vitest run -t '<its name>'.

const rounds = Number(process.argv[2] ?? 200)
if (!Number.isInteger(rounds) || rounds < 1) {
  console.error('usage: npm run soak -- <rounds>')
  process.exit(2)
}
const files = ['test/scenarios/rebuild-history.test.ts', 'test/scenarios/partition-history.test.ts']
const { status } = spawnSync('npx', ['vitest', 'run', '--reporter=dot', ...files], {
  stdio: 'inherit',
  env: { ...process.env, EBB_TEST_ROUNDS: String(rounds) },
})
process.exit(status ?? 1)
