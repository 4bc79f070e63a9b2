// Bundles what the package ships. Not by rolldown's command line, which lists each of some hundred files before every demo
// and every run of the tests.

import { build } from 'rolldown'
import { loadConfig } from 'rolldown/config'

await build(await loadConfig('rolldown.config.ts'))
