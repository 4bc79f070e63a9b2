// The command as one starts it: a process of its own, what it reports, and the memory that it has had at most.

import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { clearInterval, setInterval } from 'node:timers'

/** Runs `ebb … --execute --json`. `heard` gets each line of the report. Returns the peak of memory in MB. */
export async function ebb(url, words, heard = () => {}) {
  const child = spawn(process.execPath, ['bin/ebb.js', ...words, '--execute', '--json', '--url', url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = ended(child)
  let peak = 0
  const watch = setInterval(() => (peak = Math.max(peak, peakOf(child.pid))), 50)
  for await (const line of createInterface(child.stdout)) heard(JSON.parse(line))
  clearInterval(watch)
  await exited
  return { peakMb: Math.round(peak / 1000) }
}

/** KB that a process has had at most; 0 where the system does not tell. */
function peakOf(pid) {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

export function ended(child) {
  return new Promise((resolve, reject) =>
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${child.spawnfile}: ${code}`)))),
  )
}
