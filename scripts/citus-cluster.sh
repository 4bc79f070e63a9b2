#!/usr/bin/env bash
# A Citus cluster to try Ebb on: a coordinator and two workers on this machine, from a PostgreSQL that has the extension:
#
#   scripts/citus-cluster.sh start /usr/lib/postgresql/15/bin /dev/shm/citus    prints the coordinator's URL
#   EBB_TEST_CITUS_URL=$(…) npx vitest run --no-file-parallelism test/citus
#   scripts/citus-cluster.sh stop /usr/lib/postgresql/15/bin /dev/shm/citus     stops the three, and removes the folder
#
# The folder holds the data of the three servers and must not exist. They listen on 127.0.0.1 alone, ask nobody for a
# password and do not wait for the disk: for tests, and for nothing else. CITUS_PORT is the port of the coordinator
# (9700), the workers have the next two. As root the servers run as the system's user postgres.
#
# Citus itself comes from its packages (https://docs.citusdata.com), or from its source:
#
#   ./configure PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config && make && make install
set -Eeuo pipefail

main() {
  local command=${1:?start or stop}
  bin=${2:?the folder of PostgreSQL’s programs}
  folder=${3:?a folder for the data}
  port=${CITUS_PORT:-9700}
  case $command in
    start) start ;;
    stop) stop ;;
    *) echo "citus-cluster.sh: start or stop, not $command" >&2; exit 2 ;;
  esac
}

start() {
  [ ! -e "$folder" ] || { echo "$folder is there already: stop it first, or name another folder" >&2; exit 1; }
  mkdir -p "$folder"
  [ "$(id -u)" != 0 ] || chown postgres "$folder"
  trap 'stop_servers' ERR
  local i
  for i in 0 1 2; do
    begin "$i" >&2
    "$bin/createdb" "${connection[@]}" -p $((port + i)) test >&2
    sql "$i" 'create extension citus' >&2
    allow_decoding "$i" >&2
  done
  sql 0 "select citus_set_coordinator_host('127.0.0.1', $port)" >&2
  for i in 1 2; do sql 0 "select citus_add_node('127.0.0.1', $((port + i)))" >&2; done
  # From the coordinator it gets to all nodes.
  sql 0 'create extension if not exists citus_columnar' >&2
  echo "postgres://postgres@127.0.0.1:$port/test"
}

stop() {
  stop_servers
  rm -rf "$folder"
}

connection=(-h 127.0.0.1 -U postgres)

# One server of its own data.
begin() {
  local data=$folder/$1
  as_postgres "$bin/initdb" -D "$data" -U postgres --auth=trust --encoding=UTF8 --locale=C --no-sync >/dev/null
  as_postgres tee -a "$data/postgresql.conf" >/dev/null <<EOF
shared_preload_libraries = 'citus'
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
port = $((port + $1))
fsync = off
shared_buffers = 32MB
max_connections = 100
max_prepared_transactions = 100
wal_level = logical
citus.node_conninfo = 'sslmode=disable'
EOF
  as_postgres "$bin/pg_ctl" start -w -s -D "$data" -l "$data/log"
}

# The minor versions of November 2026 let only listed libraries decode, with which Citus moves shards while they are written to.
allow_decoding() {
  [ "$(sql "$1" "select count(*) from pg_settings where name = 'output_plugin_libraries'")" = 0 ] && return
  sql "$1" "alter system set output_plugin_libraries = 'citus', 'pgoutput'"
  sql "$1" 'select pg_reload_conf()'
}

stop_servers() {
  local i
  for i in 0 1 2; do
    if [ -e "$folder/$i/postmaster.pid" ]; then as_postgres "$bin/pg_ctl" stop -s -m immediate -D "$folder/$i" || true; fi
  done
}

sql() {
  "$bin/psql" -qXAt -v ON_ERROR_STOP=1 "${connection[@]}" -p $((port + $1)) -d test -c "$2"
}

as_postgres() {
  if [ "$(id -u)" = 0 ]; then (cd / && setpriv --reuid=postgres --regid=postgres --init-groups "$@"); else "$@"; fi
}

main "$@"
