#!/usr/bin/env node
// The process: arguments, signals, exit code. Everything else is in dist/, where a test can call it.

import { existsSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'

const built = new URL('../dist/cli.js', import.meta.url)
if (!existsSync(built)) {
  process.stderr.write('error: ebb has not been built\n  now: Nothing has been done.\n next: npm run build\n')
  process.exit(70)
}

// Node.js 20 has no `navigator`. Without one the PostgreSQL driver finds out what it runs on by means that load all of
// fetch, which takes longer than everything else here.
globalThis.navigator ??= { userAgent: `Node.js/${process.versions.node.split('.', 1)}` }

// The buffers that rows pass through are freed when the small objects that refer to them are collected. The space for new objects
// stays at its first size, so that this is often: an archive and then a purge took 140 MB, and 177 without. What only looks reads no
// rows, but for archives that are verified, and starts a twentieth sooner without.
if (process.argv.includes('--execute') || process.argv[2] === 'archive')
  setFlagsFromString('--semi-space-growth-factor=1')

// These plan each table of a config, and keep little of it. What is old is collected once it has grown by a half, and not to four
// times as much: with 1,000 partition sets they took 160 MB, and take 100. Archiving takes a tenth more processor time so, so it is
// not done for the commands on one table.
if (['run', 'check'].includes(process.argv[2])) setFlagsFromString('--heap-growing-percent=50')

// PostgreSQL's own parser, which reads conditions, is WebAssembly. To compile once more, optimized, what has been executed often took a
// tenth of a second and more, for a few short texts. It is done after eighty times as much work as by default.
setFlagsFromString('--wasm-tiering-budget=1000000000')

const { main } = await import(built.href)

const FORCED = 130
const stop = new AbortController()

function onSignal() {
  // The terminal has echoed ^C behind the line that shows progress.
  if (process.stderr.isTTY) process.stderr.write('\n')
  if (stop.signal.aborted) process.exit(FORCED)
  stop.abort()
}
process.on('SIGINT', onSignal)
process.on('SIGTERM', onSignal)

// Whoever reads our output may go away (`ebb inspect … | head`); a run that has begun goes on to its end.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error) => {
    if (error.code !== 'EPIPE') throw error
  })
}

process.exitCode = await main(process, stop.signal)
