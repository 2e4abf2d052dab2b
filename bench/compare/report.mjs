// Tables of what was measured.
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { figure, median, milliseconds, percentile, sorted } from './figures.mjs'

/** The machine, and how busy it is now. */
export const machine = () => `${cpus().length} × ${cpus()[0].model}; load ${readFileSync('/proc/loadavg', 'utf8').split(' ').slice(0, 3).join(' ')}`

/** One row a system; the ratio is the first system's rate to this one's, taken in each round. */
export function printCase({ title, connections, body, rounds, voids, memory }, systems) {
  const first = systems[0]
  console.log(`\n## ${title}, ${connections} connection${connections > 1 ? 's' : ''}${body == null ? '' : `, a body of ${body.toLocaleString('en')} bytes`}\n`)
  console.log(`| system | req/s (spread) | MB/s | p50 ms | p99 ms | CPU µs/req | ${first} ÷ this (spread) |\n|---|--:|--:|--:|--:|--:|--:|`)
  for (const system of systems) {
    if (!rounds[0][system]) {
      console.log(`| ${system} | – | | | | | |`)
      continue
    }
    const of = pick => rounds.map(round => pick(round[system]))
    const rates = sorted(of(figures => figures.perSecond))
    const ratios = sorted(rounds.filter(round => round[first] && round[system].requests > 0).map(round => round[first].perSecond / round[system].perSecond))
    console.log(`| ${system} | ${figure(median(rates))} (${figure(rates[0])}–${figure(rates.at(-1))}) | ` +
      `${figure(median(of(figures => figures.megabytesPerSecond)))} | ${milliseconds(median(of(figures => figures.p50)))} | ` +
      `${milliseconds(median(of(figures => figures.p99)))} | ${figure(median(of(figures => figures.cpuPerRequest)))} | ` +
      (system === first || !ratios.length ? '' : `${figure(median(ratios))} (${figure(ratios[0])}–${figure(ratios.at(-1))})`) + ' |')
  }
  for (const sentence of voids) console.log(`\n${sentence}`)
  console.log(`\nVmHWM so far, MB: ${Object.entries(memory).map(([name, megabytes]) => `${name} ${figure(megabytes)}`).join(', ')}`)
}

/** How long answers took in one walk, short documents (under 1 MB) and long ones apart. */
export function printLatency(title, results) {
  console.log(`\n## ${title}: one walk over everything, 16 at once\n`)
  console.log('| system | req/s | under 1 MB: p50 ms | p99 ms | the others: p50 ms | p99 ms |\n|---|--:|--:|--:|--:|--:|')
  for (const [system, { short, long, perSecond }] of Object.entries(results)) {
    console.log(`| ${system} | ${figure(perSecond)} | ${milliseconds(median(short))} | ${milliseconds(percentile(short, 0.99))} | ${milliseconds(median(long))} | ${milliseconds(percentile(long, 0.99))} |`)
  }
}

/** The peak of resident memory over the whole run. */
export function printMemory(memory) {
  console.log('\n## Memory over the whole run\n\n| system | VmHWM, MB |\n|---|--:|')
  for (const [system, megabytes] of Object.entries(memory)) console.log(`| ${system} | ${figure(megabytes)} |`)
}
