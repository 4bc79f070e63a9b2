#!/usr/bin/env bash
# A limit for an idle socket makes the AWS SDK break off a download because its reader has paused.
#
# Versions:  @aws-sdk/client-s3 3.1169.0, Node.js 20
# Expected:  socketTimeout is there for servers that fall silent. A reader that takes its time (back-pressure) holds the server up, not the
#            other way round, and goes on reading when it is ready.
# Behaviour: while the reader pauses, no byte crosses the socket, and the limit runs. The body is destroyed with a TimeoutError
#            that speaks of inactivity; nothing was wrong with the server. The default is no limit.
# Output:    read at once: 64 MiB
#            after a pause of 3 s, limit 1 s: TimeoutError
#            after a pause of 3 s, no limit: 64 MiB
# Matters:   whoever streams a download into something that can wait (a database with locks) needs another limit: one that
#            counts only while something is asked of the server.
source "$(dirname "$0")/lib/postgres.sh"

npm_install @aws-sdk/client-s3@3.1169.0
seen=$(cd "$packages" && node --no-warnings -e '
  const { createServer } = require("node:http")
  const { setTimeout: sleep } = require("node:timers/promises")
  const { S3Client, GetObjectCommand } = require("@aws-sdk/client-s3")
  const server = createServer((request, response) => response.end(Buffer.alloc(64 * 2 ** 20)))
  const read = async (pauseMs, socketTimeout) => {
    const client = new S3Client({
      region: "us-east-1",
      endpoint: `http://127.0.0.1:${server.address().port}`,
      forcePathStyle: true,
      credentials: { accessKeyId: "a", secretAccessKey: "b" },
      requestHandler: { socketTimeout },
    })
    try {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: "b", Key: "k" }))
      let bytes = 0
      for await (const chunk of Body) {
        if (bytes === 0) await sleep(pauseMs)
        bytes += chunk.length
      }
      return `${bytes / 2 ** 20} MiB`
    } catch ({ name }) {
      return name
    }
  }
  server.listen(0, "127.0.0.1", async () => {
    console.log(`read at once: ${await read(0, 1000)}`)
    console.log(`after a pause of 3 s, limit 1 s: ${await read(3000, 1000)}`)
    console.log(`after a pause of 3 s, no limit: ${await read(3000, undefined)}`)
    process.exit()
  })')
echo "$seen"
expect 'read at once: 64 MiB
after a pause of 3 s, limit 1 s: TimeoutError
after a pause of 3 s, no limit: 64 MiB' "$seen"
