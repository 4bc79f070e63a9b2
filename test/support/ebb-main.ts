import { main } from '../../src/cli/main.ts'

// The command line as a process, straight from the sources; what bin/ebb.js does beyond that has tests of its own.

process.exitCode = await main(process, new AbortController().signal)
