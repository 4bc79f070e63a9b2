#!/usr/bin/env bash
# npx that gets a SIGTERM ends, and the program that it has started goes on without it.
#
# Versions:  npm 10.9.4 and 11.6.2 (npm)
# Expected:  npx stands in for the program: a SIGTERM is passed on, or kills both, and npx ends with the program's exit code.
# Behaviour: npx ends at once with 143 (128 + SIGTERM); the program gets no signal and runs on as an orphan. In a container,
#            where npx is the first process, it is then killed with everything else, without the grace period.
# Output:    npm 10.9.4: npx ended with 143; the program was told: no; it is still running: yes
#            npm 11.6.2: npx ended with 143; the program was told: no; it is still running: yes
# Matters:   a Kubernetes job started by npx is never stopped between two batches, and a systemd unit or a script that
#            kills npx leaves a run at work that it believes to be ended.
source "$(dirname "$0")/lib/postgres.sh"

mkdir -p "$work/told"
echo '{ "name": "told", "version": "1.0.0", "bin": { "told": "told.js" } }' >"$work/told/package.json"
cat >"$work/told/told.js" <<'JS'
#!/usr/bin/env node
const { appendFileSync } = require('node:fs')
const say = (what) => appendFileSync(process.env.SAID, `${what}\n`)
process.on('SIGTERM', () => {
  say('told')
  process.exit(4)
})
say(process.pid)
setTimeout(() => {}, 60_000)
JS
chmod +x "$work/told/told.js"

for version in 10.9.4 11.6.2; do
  npm_install "npm@$version"
  said=$work/said-$version
  touch "$said"
  SAID=$said npm_config_cache=$work/cache node "$packages/node_modules/npm/bin/npx-cli.js" --yes --package="$work/told" told \
    >/dev/null 2>&1 &
  npx=$!
  for _ in $(seq 300); do
    [ -s "$said" ] && break
    sleep 0.1
  done
  kill -TERM "$npx"
  code=0
  wait "$npx" || code=$?
  sleep 1
  program=$(head -1 "$said")
  told=$(grep -q told "$said" && echo yes || echo no)
  running=$(kill -0 "$program" 2>/dev/null && echo yes || echo no)
  kill -KILL "$program" 2>/dev/null || true
  echo "npm $version: npx ended with $code; the program was told: $told; it is still running: $running"
  expect '143 no yes' "$code $told $running"
done
