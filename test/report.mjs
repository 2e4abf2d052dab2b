// Reads the test report and the claims, prints what is wrong and, last, "N passed, N failed". Exit code 1 when anything is.
// usage: node report.mjs <ctrf report> <claims> <number of filter arguments>
import { existsSync, readFileSync } from 'node:fs'

const [reportPath, claimsPath, filterCount] = process.argv.slice(2)
const problems = []
const statuses = new Map() // Namespace.Class.Method → the statuses of its cases
let passed = 0

if (existsSync(reportPath)) {
  for (const test of JSON.parse(readFileSync(reportPath, 'utf8')).results.tests) {
    const name = test.name.replace(/\(.*$/s, '')
    statuses.set(name, [...(statuses.get(name) ?? []), test.status])
    // Explicit tests are programs that other tests start; a claim that names one is still not shown.
    if (test.status === 'pending') continue
    if (test.status === 'passed') passed++
    else problems.push(`${test.status}: ${test.name}${test.message ? ` – ${test.message.split('\n')[0]}` : ''}`)
  }
  if (passed === 0) problems.push('No test was run.')
} else {
  problems.push('There is no test report: the runner crashed or took too long.')
}

// A claim names its tests: "… → Namespace.Class.Method" (several are divided by commas). Part of the tests cannot show all claims.
if (existsSync(claimsPath) && Number(filterCount ?? 0) === 0) {
  readFileSync(claimsPath, 'utf8').split('\n').forEach((line, index) => {
    if (line.startsWith('#') || line.startsWith('>') || !line.includes('→')) return
    const names = line.split('→')[1].split('|')[0].match(/[A-Za-z_][\w.]*\.[A-Z_]\w*/g) ?? []
    if (names.length === 0) problems.push(`CLAIMS.md:${index + 1} names no test.`)
    for (const short of names) {
      const name = short.startsWith('NpmMirror.') ? short : `NpmMirror.Tests.${short}`
      const found = statuses.get(name)
      if (!found) problems.push(`CLAIMS.md:${index + 1}: ${name} does not exist or was not run.`)
      else if (found.some((status) => status !== 'passed')) problems.push(`CLAIMS.md:${index + 1}: ${name} did not pass.`)
    }
  })
}

for (const problem of problems) console.log(`  ${problem}`)
console.log(`${passed} passed, ${problems.length} failed`)
process.exit(problems.length > 0 ? 1 : 0)
