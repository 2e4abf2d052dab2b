// Reads what the test runner tells (xunit's JSON messages, one a line) from standard input: prints progress every 20 s, each failure when it happens,
// and, last, "N passed, N failed". Exit code 1 when anything is wrong.
// usage: runner -reporter json | node report.mjs [<file for the seconds of each class>]
import { writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const [timesPath] = process.argv.slice(2)
const started = Date.now()
const names = new Map() // a test's id → its name
const running = new Map() // a test's id → since when
const times = {} // Namespace.Class → seconds of all its tests
const problems = []
let isFinished = false
let passed = 0
let cases = 0
let casesDone = 0

const seconds = () => Math.round((Date.now() - started) / 1000)
const span = (s) => (s < 60 ? `${s} s` : `${Math.floor(s / 60)} min ${s % 60} s`)

function tell(problem) {
  problems.push(problem)
  console.log(`  ${problem}`)
}

function end(message, status) {
  const name = names.get(message.TestUniqueID) ?? message.TestUniqueID
  const type = name.replace(/\(.*$/s, '').replace(/\.[^.]*$/, '')
  times[type] = (times[type] ?? 0) + (message.ExecutionTime ?? 0)
  if (status === 'passed') passed++
  else tell(`${status}: ${name} – ${[message.Reason, ...(message.Messages ?? [])].filter(Boolean).join('\n    ')}${(message.StackTraces ?? []).map((trace) => `\n${trace}`).join('')}`)
}

function read(line) {
  const start = line.indexOf('{"$type"')
  if (start < 0) {
    if (line.trim()) console.log(line)
    return
  }

  const message = JSON.parse(line.slice(start).replace(/\x1b\[[0-9;]*m/g, ''))
  switch (message.$type) {
    case 'discovery-complete': cases = message.TestCasesToRun; break
    case 'test-starting':
      names.set(message.TestUniqueID, message.TestDisplayName)
      running.set(message.TestUniqueID, Date.now())
      break
    case 'test-passed': end(message, 'passed'); break
    case 'test-failed': end(message, 'failed'); break
    case 'test-skipped': end(message, 'skipped'); break
    case 'test-finished': running.delete(message.TestUniqueID); break
    case 'test-case-finished': casesDone++; break
    case 'test-assembly-finished': isFinished = true; break
    default:
      // A class, a collection or the runner itself met an error outside of a test.
      if (/error|cleanup-failure/.test(message.$type)) tell(`${message.$type}: ${(message.Messages ?? []).join('\n    ')}`)
  }
}

const progress = setInterval(() => {
  const long = [...running].filter(([, since]) => Date.now() - since > 30_000).sort((left, right) => left[1] - right[1]).slice(0, 3)
  const longest = long.map(([id, since]) => `\n    ${names.get(id)} runs for ${span(Math.round((Date.now() - since) / 1000))}`).join('')
  console.log(`  ${span(seconds())}: ${casesDone} of ${cases} methods done, ${passed} tests passed, ${problems.length} failed${longest}`)
}, 20_000)

for await (const line of createInterface({ input: process.stdin })) read(line)
clearInterval(progress)
if (!isFinished) tell('The test runner crashed or took too long.')
else if (passed === 0) tell('No test was run.')
if (timesPath) writeFileSync(timesPath, JSON.stringify(Object.fromEntries(Object.entries(times).sort((left, right) => right[1] - left[1])), null, 1))

console.log(`Took ${span(seconds())}.`)
console.log(`${passed} passed, ${problems.length} failed`)
process.exit(problems.length > 0 ? 1 : 0)
