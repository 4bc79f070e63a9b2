#!/usr/bin/env bash
# An option after a subcommand goes to the command above it, though that one was told to leave such options alone.
#
# Versions:  commander 14.0.3 (npm)
# Expected:  with enablePositionalOptions() on `archive`, the --json of `ebb archive verify --json x` is that of `verify`,
#            for it comes after the name of the subcommand, and both commands have such an option.
# Behaviour: it is taken by `archive`, and `verify` runs as if it had not been given, without an error: the root parses
#            first, sets what looks like an option aside, and hands it to `archive` without the word that preceded it. Only
#            with enablePositionalOptions() on the root as well it arrives.
# Output:    commander 14.0.3: nowhere: undefined, on the parent: undefined, on the parent and the root: true
# Matters:   a subcommand that shares an option with its parent silently behaves as without it.
source "$(dirname "$0")/lib/postgres.sh"

npm_install commander@14.0.3
cat >"$packages/positional.mjs" <<'JS'
import { Command } from 'commander'

const told = ['nowhere', 'on the parent', 'on the parent and the root'].map((where) => {
  let given
  const verify = new Command('verify').argument('<receipt>').option('--json').action((_, { json }) => (given = json))
  const archive = new Command('archive').argument('[table]').option('--json').action(() => {}).addCommand(verify)
  const root = new Command('ebb').addCommand(archive)
  if (where !== 'nowhere') archive.enablePositionalOptions()
  if (where.endsWith('root')) root.enablePositionalOptions()
  root.parse(['archive', 'verify', '--json', 'x'], { from: 'user' })
  return `${where}: ${given}`
})
console.log(told.join(', '))
JS
seen=$(node "$packages/positional.mjs")
echo "commander 14.0.3: $seen"
expect 'nowhere: undefined, on the parent: undefined, on the parent and the root: true' "$seen"
