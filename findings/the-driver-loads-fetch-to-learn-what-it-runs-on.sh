#!/usr/bin/env bash
# Importing pg on Node.js 20 loads Node's implementation of fetch, although it makes no request over HTTP.
#
# Versions:  pg 8.23.1, node 20.20.2 and 22.12.0 (npm)
# Expected:  a driver that speaks over a TCP socket loads node:net.
# Behaviour: it asks `navigator` whether it runs in a Cloudflare Worker, and where there is none, as on Node.js 20, makes a
#            `Response`; Node loads undici for that, once, when pg is imported. With a `navigator` it is not loaded.
# Output:    20 without navigator: undici; 20 with navigator: none; 22 as it is: none
# Matters:   45 ms of the 200 that a short command takes; nothing in the code of the command shows it.
source "$(dirname "$0")/lib/postgres.sh"

npm_install pg@8.23.1
cat >"$packages/load.mjs" <<'JS'
if (process.argv[2] === 'navigator') globalThis.navigator = { userAgent: 'Node.js/20' }
await import('pg')
console.log(process.moduleLoadList.some((name) => name.includes('deps/undici/undici')) ? 'undici' : 'none')
JS
on_node() {
  npm install --silent --no-audit --no-fund --prefix "$work/node-$1" "node@$1" >/dev/null
  "$work/node-$1/node_modules/node/bin/node" "$packages/load.mjs" "${@:2}"
}
seen="20 without navigator: $(on_node 20.20.2); 20 with navigator: $(on_node 20.20.2 navigator); 22 as it is: $(on_node 22.12.0)"
echo "$seen"
expect '20 without navigator: undici; 20 with navigator: none; 22 as it is: none' "$seen"
