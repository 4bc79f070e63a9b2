#!/usr/bin/env bash
# DuckDB shows the name of a folder instead of a column that the Parquet file has, also where one file is opened by its full path.
#
# Versions:  DuckDB 1.5.6 (@duckdb/node-api 1.5.6-r.1)
# Expected:  a Hive folder (at=2026-01-01) adds a column that files lack; a file that has one of that name keeps its values, or
#            it is an error. And who names one file, not a pattern, reads that file.
# Behaviour: the folder's text takes the column's place, values and type: a timestamptz becomes a date, the same in each row, without
#            a word. Only hive_partitioning = false gives the values back.
# Output:    by path 2026-01-01 (DATE), with hive_partitioning = false 2026-01-15 12:34:56+00 (TIMESTAMP WITH TIME ZONE)
# Matters:   folders for engines that prune by them: called like the key they lose its values for every query, so ours have another name.
source "$(dirname "$0")/lib/postgres.sh"

npm_install @duckdb/node-api@1.5.6-r.1
mkdir -p "$work/at=2026-01-01"
cat >"$packages/folder.mjs" <<'JS'
import { DuckDBInstance } from '@duckdb/node-api'

const file = process.argv[2]
const connection = await (await DuckDBInstance.create(':memory:')).connect()
await connection.run("set timezone = 'UTC'")
await connection.run(`copy (select timestamptz '2026-01-15 12:34:56+00' as at) to '${file}' (format parquet)`)
const read = async (options) => {
  const query = `select "at"::varchar, typeof("at") from read_parquet('${file}'${options})`
  const [[value, type]] = (await connection.runAndReadAll(query)).getRowsJson()
  return `${value} (${type})`
}
console.log(`by path ${await read('')}, with hive_partitioning = false ${await read(', hive_partitioning = false')}`)
JS
seen=$(node "$packages/folder.mjs" "$work/at=2026-01-01/rows.parquet")
echo "$seen"
expect "by path 2026-01-01 (DATE), with hive_partitioning = false 2026-01-15 12:34:56+00 (TIMESTAMP WITH TIME ZONE)" "$seen"
