#!/usr/bin/env bash
# A stream that is written to a file whose disk is full ends its pipeline with an error that says nothing of the disk.
#
# Versions:  Node.js 20.20
# Expected:  writeFile(file, stream) fails with ENOSPC, and what feeds the stream fails with that, too, or later.
# Behaviour: writeFile reads the stream in a loop and leaves it at the failure, which destroys the stream without a reason. The
#            pipeline that feeds it fails at once with ABORT_ERR (ERR_STREAM_PREMATURE_CLOSE where another stream is in
#            between); writeFile with ENOSPC, but whoever closes or removes the file before passing that on is later.
#            Promise.all of both reports the abort that nobody has asked for.
# Output:    together: ABORT_ERR
#            each: pipeline ABORT_ERR, file ENOSPC
# Matters:   a tool that archives told its users "Premature close" where it should have said that the disk is full. Both
#            ends have to be waited for, and the error of the one that writes is the one to report.
source "$(dirname "$0")/lib/postgres.sh"

seen=$(node --no-warnings -e '
  const { open, writeFile } = require("node:fs/promises")
  const { PassThrough, Readable } = require("node:stream")
  const { pipeline } = require("node:stream/promises")
  const store = async (content) => {
    const file = await open("/dev/full", "w")
    try {
      await writeFile(file, content)
    } finally {
      await file.close()
    }
  }
  const begin = () => {
    const body = new PassThrough()
    return [pipeline(Readable.from(Array(100).fill(Buffer.alloc(65536))), body), store(body)]
  }
  ;(async () => {
    console.log(`together: ${await Promise.all(begin()).catch(({ code }) => code)}`)
    const [flow, file] = await Promise.allSettled(begin())
    console.log(`each: pipeline ${flow.reason.code}, file ${file.reason.code}`)
  })()')
echo "$seen"
expect 'together: ABORT_ERR
each: pipeline ABORT_ERR, file ENOSPC' "$seen"
