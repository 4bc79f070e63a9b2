import { processContext } from '../../src/cli/context.ts'
import { run } from '../../src/cli/run.ts'

// The command line as a process, straight from the sources; what bin/ebb.js does beyond that has tests of its own.

process.exitCode = await run(process.argv.slice(2), processContext(process, new AbortController().signal))
