#!/usr/bin/env bash
# The JSON schema that zod makes of an object refuses documents that zod itself accepts.
#
# Versions:  zod 4.6.7, ajv 8.20.0 (npm)
# Expected:  z.toJSONSchema() describes what the schema parses: z.object() passes over members it does not know.
# Behaviour: by default it describes what comes out of parsing, where such members are gone, so it has
#            additionalProperties: false, and another validator refuses the document. With { io: 'input' } it does not.
# Output:    {"a":"x","b":1}: zod true, ajv by the schema as made false, ajv by the schema of the input true
# Matters:   a published schema of a format that is to be read for years would refuse what later versions add.
source "$(dirname "$0")/lib/postgres.sh"

npm_install zod@4.6.7 ajv@8.20.0
cat >"$packages/schema.mjs" <<'JS'
import { Ajv2020 } from 'ajv/dist/2020.js'
import * as z from 'zod'

const schema = z.object({ a: z.string() })
const value = { a: 'x', b: 1 }
const accepted = (described) => new Ajv2020().compile(described)(value)
console.log(
  `${JSON.stringify(value)}: zod ${schema.safeParse(value).success}, ajv by the schema as made ` +
    `${accepted(z.toJSONSchema(schema))}, ajv by the schema of the input ${accepted(z.toJSONSchema(schema, { io: 'input' }))}`,
)
JS
seen=$(node "$packages/schema.mjs")
echo "$seen"
expect '{"a":"x","b":1}: zod true, ajv by the schema as made false, ajv by the schema of the input true' "$seen"
