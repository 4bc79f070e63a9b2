#!/usr/bin/env bash
# Node.js up to 24 reads the first of several zstd frames and ends without an error; 22 gives nothing of a frame that is cut, as quietly.
#
# Versions:  Node.js 22.23.3, 24.21.0, 26.10.0 (npm node), zstd by node:zlib
# Expected:  frames may follow one another (RFC 8878), as members do in gzip, and a decoder reads all of them; a frame without its end
#            is an error, as it is for gzip.
# Behaviour: on 22 both streams end as if all had been read; 24 refuses the cut frame, and leaves the second one out; 26 does as expected.
# Output:    22.23.3: of two frames "first", of a cut one ""
#            24.21.0: of two frames "first", of a cut one Z_BUF_ERROR
#            26.10.0: of two frames "firstsecond", of a cut one Z_BUF_ERROR
# Matters:   compressing in parallel, or appending: what zstd -d reads is lost here. And an end of the stream proves nothing; the
#            number of bytes and a digest have to be compared.
source "$(dirname "$0")/lib/postgres.sh"

cat >"$work/frames.mjs" <<'JS'
import { buffer } from 'node:stream/consumers'
import { Readable } from 'node:stream'
import { createZstdDecompress, zstdCompressSync } from 'node:zlib'

const read = (bytes) => buffer(Readable.from([bytes]).pipe(createZstdDecompress())).then((b) => JSON.stringify(b.toString()), (e) => e.code)
const frame = (text) => zstdCompressSync(Buffer.from(text))
const two = await read(Buffer.concat([frame('first'), frame('second')]))
const cut = await read(frame('some text '.repeat(1000)).subarray(0, -4))
console.log(`of two frames ${two}, of a cut one ${cut}`)
JS
seen_by() {
  npm install --silent --no-audit --no-fund --prefix "$work/node-$1" "node@$1" >/dev/null
  "$work/node-$1/node_modules/node/bin/node" "$work/frames.mjs"
}
recorded='22.23.3: of two frames "first", of a cut one ""
24.21.0: of two frames "first", of a cut one Z_BUF_ERROR
26.10.0: of two frames "firstsecond", of a cut one Z_BUF_ERROR'
seen=$(for version in 22.23.3 24.21.0 26.10.0; do echo "$version: $(seen_by "$version")"; done)
echo "$seen"
expect "$recorded" "$seen"
