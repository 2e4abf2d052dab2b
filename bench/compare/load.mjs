// One round of load by wrk, with the server's CPU time beside it.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { cpuMicroseconds } from './systems.mjs'

const script = join(import.meta.dirname, 'report.lua')

/** `urls` is a file with one path a line, of which the walk begins at `skip`. */
export async function load({ child, origin, urls, skip = 0, headers, connections, seconds, threads = connections > 1 ? 2 : 1 }) {
  const args = [`-t${threads}`, `-c${connections}`, `-d${seconds}`, '--timeout', '60', '-s', script]
  for (const [name, value] of Object.entries(headers)) args.push('-H', `${name}: ${value}`)
  const before = cpuMicroseconds(child.pid)
  const output = await run('wrk', [...args, origin, '--', urls, String(skip)], (seconds + 90) * 1000)
  const cpu = cpuMicroseconds(child.pid) - before
  const line = /RESULT (.*)/.exec(output)
  if (!line) throw new Error(`wrk printed no result:\n${output}`)
  const result = JSON.parse(line[1])
  return {
    ...result,
    perSecond: result.requests / result.microseconds * 1e6,
    megabytesPerSecond: result.bytes / result.microseconds,
    cpuPerRequest: cpu / Math.max(1, result.requests),
  }
}

function run(command, args, milliseconds) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const timer = setTimeout(() => child.kill('SIGKILL'), milliseconds)
    let output = ''
    child.stdout.on('data', data => { output += data })
    child.stderr.on('data', data => { output += data })
    child.on('error', reject)
    child.on('close', code => {
      clearTimeout(timer)
      code === 0 ? resolve(output) : reject(new Error(`${command} ended with ${code}: ${output}`))
    })
  })
}
