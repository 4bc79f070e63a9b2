#!/usr/bin/env bash
# Parsing one short SQL text with libpg-query takes twice the processor time of what is needed, and --no-wasm-tier-up does not help.
#
# Versions:  libpg-query 18.1.5, node 20.20.2 and 24.11.1 (npm)
# Expected:  WebAssembly is compiled quickly at first, and once more, optimized, where that pays; without --wasm-tier-up, once.
# Behaviour: functions are optimized after some milliseconds of work. The tables and the large functions of a parser reach that
#            when it is loaded, and optimizing them takes longer than the process lives for anything else. --no-wasm-tier-up
#            changes nothing as long as --wasm-dynamic-tiering is on; a larger --wasm-tiering-budget does.
# Output:    20: default slow, --no-wasm-tier-up slow; 24: default slow, --no-wasm-tier-up slow
#            (slow: at least 1.4 times the processor time that it takes with a larger budget, medians of 7)
# Matters:   0.15 s of each command that reads a condition, and 0.4 s on Node.js 24; a profile of its JavaScript does not show it,
#            for other threads do it.
source "$(dirname "$0")/lib/postgres.sh"

npm_install libpg-query@18.1.5
cat >"$packages/parse.mjs" <<'JS'
const { parse } = await import('libpg-query')
await parse('select 1 where a = 1 and b < now()')
JS
# Of the whole process: it waits for the other threads at its end.
milliseconds() { # node, flags
  local TIMEFORMAT='%U %S'
  for _ in 1 2 3 4 5 6 7; do { time "$1" "${@:2}" "$packages/parse.mjs"; } 2>&1; done |
    awk '{ print int(1000 * ($1 + $2)) }' | sort -n | sed -n 4p
}
on_node() {
  npm install --silent --no-audit --no-fund --prefix "$work/node-$1" "node@$1" >/dev/null
  local node="$work/node-$1/node_modules/node/bin/node" most
  most=$(($(milliseconds "$node" --wasm-tiering-budget=1000000000) * 14 / 10))
  echo "default $(told "$(milliseconds "$node")" "$most"), --no-wasm-tier-up $(told "$(milliseconds "$node" --no-wasm-tier-up)" "$most")"
}
told() { [ "$1" -ge "$2" ] && echo slow || echo quick; }
seen="20: $(on_node 20.20.2); 24: $(on_node 24.11.1)"
echo "$seen"
expect '20: default slow, --no-wasm-tier-up slow; 24: default slow, --no-wasm-tier-up slow' "$seen"
