#!/usr/bin/env bash
# The shortest text of a double is another one in PostgreSQL than in DuckDB and JavaScript.
#
# Versions:  PostgreSQL 17.10, DuckDB 1.5.6 (@duckdb/node-api 1.5.6-r.1), Node.js 20, 22
# Expected:  all three print the fewest digits that are read as the same double, so their digits are the same: only where
#            an exponent begins differs.
# Behaviour: PostgreSQL does not use a text that lies exactly half-way to the next double, though it reads it as this one:
#            the double 1e23 has 16 digits there, and one elsewhere.
# Output:    1e23: PostgreSQL 9.999999999999999e+22, DuckDB 1e+23, JavaScript 1e+23
# Matters:   comparing or digesting rows as text, between what PostgreSQL wrote and what another program made of the values.
source "$(dirname "$0")/lib/postgres.sh"

postgres_start 17.10.0-beta.17
npm_install @duckdb/node-api@1.5.6-r.1
cat >"$packages/double.mjs" <<'JS'
import { DuckDBInstance } from '@duckdb/node-api'

const connection = await (await DuckDBInstance.create(':memory:')).connect()
const [[text]] = (await connection.runAndReadAll("select '1e23'::double::varchar")).getRowsJson()
console.log(`DuckDB ${text}, JavaScript ${1e23}`)
JS
seen="1e23: PostgreSQL $(query "select '1e23'::float8::text"), $(node "$packages/double.mjs")"
echo "$seen"
expect '1e23: PostgreSQL 9.999999999999999e+22, DuckDB 1e+23, JavaScript 1e+23' "$seen"
