#!/usr/bin/env bash
# The AWS SDK repeats a put whose answer was lost, and then reports that the object exists: its own, stored a moment before.
#
# Versions:  @aws-sdk/client-s3 3.1169.0
# Expected:  PutObject with IfNoneMatch "*" on a name that is free succeeds; retries, which are on by default, are of no concern to the caller.
# Behaviour: if the connection ends after the server has stored the object and before it has answered, the SDK sends the
#            same request again, and the server, which now has the object, answers 412. The caller gets PreconditionFailed
#            for a put that has succeeded, and cannot tell it from one that has lost against somebody else. $metadata.attempts says 2.
# Output:    PreconditionFailed after 2 attempts; the object is there: hello
# Matters:   who takes 412 for "somebody else's" reports a conflict that there is none, or removes nothing of what it has
#            stored. Each writer has to mark its object (metadata, say) and look for the mark after a 412.
source "$(dirname "$0")/lib/postgres.sh"

npm_install @aws-sdk/client-s3@3.1169.0
seen=$(cd "$packages" && node --no-warnings -e '
  const { createServer } = require("node:http")
  const { S3Client, PutObjectCommand } = require("@aws-sdk/client-s3")
  let stored = null
  const server = createServer(async (request, response) => {
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    if (stored !== null) {
      response.writeHead(412, { "content-type": "application/xml" })
      return response.end("<Error><Code>PreconditionFailed</Code><Message>it is there</Message></Error>")
    }
    stored = Buffer.concat(chunks).toString()
    request.socket.destroy()
  })
  server.listen(0, "127.0.0.1", async () => {
    const client = new S3Client({
      region: "us-east-1",
      endpoint: `http://127.0.0.1:${server.address().port}`,
      forcePathStyle: true,
      credentials: { accessKeyId: "a", secretAccessKey: "b" },
    })
    const put = new PutObjectCommand({ Bucket: "b", Key: "k", Body: Buffer.from("hello"), IfNoneMatch: "*" })
    const told = await client.send(put).then(() => "stored", ({ name, $metadata }) => `${name} after ${$metadata.attempts} attempts`)
    console.log(`${told}; the object is there: ${stored}`)
    process.exit()
  })')
echo "$seen"
expect 'PreconditionFailed after 2 attempts; the object is there: hello' "$seen"
