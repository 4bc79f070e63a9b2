#!/usr/bin/env bash
# DuckDB casts PostgreSQL's text of a date before Christ to the same day after Christ.
#
# Versions:  DuckDB 1.5.6 (@duckdb/node-api 1.5.6-r.1)
# Expected:  '0044-03-15 BC', as PostgreSQL prints it, is refused, for DuckDB prints it 0044-03-15 (BC); or it is understood.
# Behaviour: as a date it is read without its era, and without an error; as a timestamp the same text is refused.
# Output:    date 0044-03-15, timestamp null
# Matters:   dates of PostgreSQL's CSV that are loaded or converted by DuckDB: a cast that succeeds proves nothing, so each
#            value is made into text again and compared.
source "$(dirname "$0")/lib/postgres.sh"

npm_install @duckdb/node-api@1.5.6-r.1
cat >"$packages/date.mjs" <<'JS'
import { DuckDBInstance } from '@duckdb/node-api'

const connection = await (await DuckDBInstance.create(':memory:')).connect()
const query = `select cast('0044-03-15 BC' as date)::varchar, try_cast('0044-03-15 00:00:00 BC' as timestamp)::varchar`
const [[date, timestamp]] = (await connection.runAndReadAll(query)).getRowsJson()
console.log(`date ${date}, timestamp ${timestamp}`)
JS
seen=$(node "$packages/date.mjs")
echo "$seen"
expect 'date 0044-03-15, timestamp null' "$seen"
