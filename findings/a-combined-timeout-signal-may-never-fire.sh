#!/usr/bin/env bash
# A time-out that is combined with another signal by AbortSignal.any() may never come.
#
# Versions:  node 20.20.2 and 24.11.1 (npm)
# Expected:  the combined signal is aborted when the time is up: something waits for it.
# Behaviour: on Node.js 20 it refers only weakly to the signals that it is made of. If nothing else refers to that of
#            AbortSignal.timeout(), it is garbage-collected, with its timer, and the combined signal is never aborted. The signal
#            of an AbortController that a timer refers to does its work.
# Output:    20: never; 20 with a timer of its own: aborted; 24: aborted
# Matters:   what is to end when a window closes would go on for hours, but only where memory was tidied up meanwhile: in
#            long runs, and in no short test.
source "$(dirname "$0")/lib/postgres.sh"

cat >"$work/timeout.mjs" <<'JS'
const own = () => {
  const controller = new AbortController()
  setTimeout(() => controller.abort(), 200)
  return controller.signal
}
const timeout = process.argv[2] === 'own' ? own : () => AbortSignal.timeout(200)
const combined = () => AbortSignal.any([new AbortController().signal, timeout()])
const aborted = new Promise((resolve) => combined().addEventListener('abort', () => resolve('aborted')))
const collecting = setInterval(globalThis.gc, 20)
console.log(await Promise.race([aborted, new Promise((resolve) => setTimeout(resolve, 2000, 'never'))]))
clearInterval(collecting)
JS
on_node() {
  npm install --silent --no-audit --no-fund --prefix "$work/node-$1" "node@$1" >/dev/null
  "$work/node-$1/node_modules/node/bin/node" --expose-gc "$work/timeout.mjs" "${@:2}"
}
seen="20: $(on_node 20.20.2); 20 with a timer of its own: $(on_node 20.20.2 own); 24: $(on_node 24.11.1)"
echo "$seen"
expect '20: never; 20 with a timer of its own: aborted; 24: aborted' "$seen"
