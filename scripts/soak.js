import { spawnSync } from 'node:child_process'

// Hundreds of randomised rounds of the history checks: `npm run soak -- 500` (200 otherwise), about two seconds each.
// A round that fails prints the seed that repeats it: EBB_TEST_SEED=<seed> npx vitest run -t '<its name>'.
// Then a purge of 91,247 accounts with all that refers to them, among traffic, as slow as its operators wanted it.

const rounds = Number(process.argv[2] ?? 200)
if (!Number.isInteger(rounds) || rounds < 1) {
  console.error('usage: npm run soak -- <rounds>')
  process.exit(2)
}

function run(...files) {
  const { status } = spawnSync(
    'npx',
    ['vitest', 'run', '--reporter=dot', ...files.map((file) => `test/scenarios/${file}.test.ts`)],
    {
      stdio: 'inherit',
      env: { ...process.env, EBB_TEST_ROUNDS: String(rounds), EBB_TEST_CANDIDATES: '91247' },
    },
  )
  return status ?? 1
}

const failures = [run('rebuild-history', 'partition-history'), run('story-b-live')].filter((status) => status !== 0)
process.exit(failures[0] ?? 0)
