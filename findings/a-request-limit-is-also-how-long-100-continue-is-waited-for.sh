#!/usr/bin/env bash
# A limit for requests makes the AWS SDK fail every larger put to a server that does not answer "Expect: 100-continue".
#
# Versions:  @aws-sdk/client-s3 3.1169.0
# Expected:  HTTP says that a client should not wait indefinitely for 100 (Continue); the SDK waits 6 s and then sends the body. A limit
#            for the whole request (requestTimeout) that is longer changes nothing about that.
# Behaviour: bodies of 2 MiB and more are announced by Expect: 100-continue, and the wait is as long as requestTimeout, if that is
#            more than 6 s. So both end at the same moment, and with throwOnRequestTimeout the request fails before a byte
#            of the body has been sent, in each attempt. Without a limit it takes 6 s more, and succeeds.
# Output:    1 MiB with a limit of 8 s: stored
#            3 MiB with a limit of 8 s: TimeoutError, 0 bytes received
#            3 MiB with a limit of 8 s and expectContinueHeader: false: stored
#            3 MiB without a limit: stored
# Matters:   servers and proxies that ignore the header exist. Whoever sets a limit has to switch the header off, too.
source "$(dirname "$0")/lib/postgres.sh"

npm_install @aws-sdk/client-s3@3.1169.0
seen=$(cd "$packages" && node --no-warnings -e '
  const { createServer } = require("node:http")
  const { S3Client, PutObjectCommand } = require("@aws-sdk/client-s3")
  let received = 0
  const answer = (request, response) => {
    request.on("data", ({ length }) => (received += length))
    request.on("end", () => response.end())
  }
  const server = createServer(answer)
  // Does not say 100, and answers once the body has come.
  server.on("checkContinue", answer)
  const put = async (mebibytes, options) => {
    received = 0
    const client = new S3Client({
      region: "us-east-1",
      endpoint: `http://127.0.0.1:${server.address().port}`,
      forcePathStyle: true,
      credentials: { accessKeyId: "a", secretAccessKey: "b" },
      maxAttempts: 1,
      ...options,
    })
    const command = new PutObjectCommand({ Bucket: "b", Key: "k", Body: Buffer.alloc(mebibytes * 2 ** 20) })
    return client.send(command).then(() => "stored", ({ name }) => `${name}, ${received} bytes received`)
  }
  server.listen(0, "127.0.0.1", async () => {
    const limit = { requestHandler: { requestTimeout: 8000, throwOnRequestTimeout: true } }
    console.log(`1 MiB with a limit of 8 s: ${await put(1, limit)}`)
    console.log(`3 MiB with a limit of 8 s: ${await put(3, limit)}`)
    const off = { ...limit, expectContinueHeader: false }
    console.log(`3 MiB with a limit of 8 s and expectContinueHeader: false: ${await put(3, off)}`)
    console.log(`3 MiB without a limit: ${await put(3, {})}`)
    process.exit()
  })')
echo "$seen"
expect '1 MiB with a limit of 8 s: stored
3 MiB with a limit of 8 s: TimeoutError, 0 bytes received
3 MiB with a limit of 8 s and expectContinueHeader: false: stored
3 MiB without a limit: stored' "$seen"
