// What it costs this mirror to take in a whole registry and to keep it, with the shipped settings and the embedded store:
//
// 1 sync    `sync --metadata all` from nothing, a few times: processor time from start to exit, the clock's, VmHWM; in turn with the floor, which is
//           inflate, read JSON, one SHA-256, zstd 1 in one warm thread (bench/NpmMirror.Benchmarks/Floor.cs)
// 2 syncs   the same once more under strace: fsync and fdatasync
// 3 stages  each stage alone, in a process that is warm: its share of the processor time of 1
// 4 size    the data folder after 1
// 5 kill    `serve --metadata all` from nothing, killed (SIGKILL) as soon as all is held: every document read back and compared
// 6 signed  1 and 4 once more with a signature in each version
//
// What follows `--` goes to the mirror. Ends with 1 when something is wrong; targets that are missed are told, not failed.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { get } from './http.mjs'
import { writeSigned } from './signed.mjs'
import { machine } from './report.mjs'
import { answers, commandOf, endedChildrenSeconds, freePort, peakMegabytes, revisionOf, runWithin, start, startMirror, stop } from './systems.mjs'

const { values: options, positionals: mirrorOptions } = parseArgs({
  allowPositionals: true,
  options: {
    root: { type: 'string' },
    program: { type: 'string' },
    work: { type: 'string' },
    corpus: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    parts: { type: 'string', default: 'sync,syncs,stages,kill,signed' },
    minutes: { type: 'string', default: '20' },
  },
})
const benchmarks = join(options.root, 'artifacts/bin/NpmMirror.StoreBenchmarks/release/NpmMirror.StoreBenchmarks.dll')
const floorProgram = join(options.root, 'artifacts/bin/NpmMirror.Benchmarks/release/NpmMirror.Benchmarks.dll')
const median = values => values.toSorted((a, b) => a - b)[values.length >> 1]
const has = part => options.parts.split(',').includes(part)

await runWithin(options.minutes, main)

async function main() {
  rmSync(options.work, { recursive: true, force: true })
  mkdirSync(options.work, { recursive: true })
  console.log(`${new Date().toISOString()}; ${machine()}; ` +
    `revision ${revisionOf(options.root)}; options: ${mirrorOptions.join(' ') || 'none'}`)
  const corpus = await startUpstream('upstream', options.corpus)
  const synced = await measureSync('corpus', corpus, Number(options.rounds), options.corpus)
  if (has('syncs')) await countSyncs(corpus)
  if (has('stages')) await measureStages(corpus, synced.cpu)
  if (has('kill')) await killAndCheck(corpus)
  await stop(corpus.child)
  if (has('signed')) {
    const folder = join(options.work, 'signed')
    const signed = writeSigned(options.corpus, folder)
    console.log(`signed: ${signed} versions given a signature`)
    // Made-up packuments have them: there is nothing to compare with.
    if (signed > 0) await measureSync('signed', await startUpstream('upstream-signed', folder), 1, folder)
  }
}

async function startUpstream(name, folder) {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}/`
  const child = await start(name, options.work, process.execPath, [join(import.meta.dirname, 'upstream.mjs'), '--corpus', folder, '--port', String(port), '--prepared'])
  await answers(child, url, 300)
  const count = readdirSync(folder).filter(file => file.endsWith('.json')).length
  return { child, url, count }
}

function mirror(name, command, upstream, data, more = []) {
  return startMirror(name, options.work, options.program, [command, '--upstream', upstream.url, '--metadata', 'all', '--data', data, ...more, ...mirrorOptions])
}

async function measureSync(name, upstream, rounds, folder) {
  const figures = []
  const data = join(options.work, `data-${name}`)
  for (let round = 0; round < rounds; round++) {
    rmSync(data, { recursive: true, force: true })
    const before = { cpu: endedChildrenSeconds(), clock: performance.now() }
    const child = await mirror(`sync-${name}`, 'sync', upstream, data)
    let peak = 0
    while (!child.exited) {
      // The process may end between a look and the next.
      try { peak = Math.max(peak, peakMegabytes(child.pid)) } catch (error) { if (error.code !== 'ENOENT' && error.code !== 'ESRCH') throw error }
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    if (child.code !== 0) throw new Error(`sync ended with ${child.code}; see ${options.work}/sync-${name}.log`)
    const spent = { cpu: endedChildrenSeconds() - before.cpu, wall: (performance.now() - before.clock) / 1000, peak }
    const floor = JSON.parse(execFileSync('dotnet', [floorProgram, 'floor', folder], { encoding: 'utf8' }))
    figures.push({ ...spent, floor: floor.raw / 1e6 / floor.seconds })
  }
  const raw = rawBytes(upstream, data)
  const shares = figures.map(figure => raw / 1e6 / figure.cpu / figure.floor)
  const [cpu, wall, peak] = ['cpu', 'wall', 'peak'].map(key => median(figures.map(figure => figure[key])))
  const size = folderBytes(data)
  console.log(`${name}: ${(raw / 1e6).toFixed(1)} MB raw, ${upstream.count} packages, ${rounds} rounds (medians; in brackets all of them)`)
  console.log(`  processor time   ${cpu.toFixed(2)} s (${figures.map(figure => figure.cpu.toFixed(2)).join(' ')}) = ${(raw / 1e6 / cpu).toFixed(1)} MB of raw JSON a processor second`)
  console.log(`  the floor        ${median(figures.map(figure => figure.floor)).toFixed(0)} MB a processor second (${figures.map(figure => figure.floor.toFixed(0)).join(' ')}); sync reaches ${median(shares).toFixed(2)} of it (${shares.map(share => share.toFixed(2)).join(' ')})   target ≥ 0.60`)
  console.log(`  wall             ${wall.toFixed(2)} s (${figures.map(figure => figure.wall.toFixed(2)).join(' ')}) = ${median(figures.map(figure => figure.wall / figure.cpu)).toFixed(2)} of the processor time   target ≤ 0.6`)
  console.log(`  VmHWM            ${peak.toFixed(0)} MB (${figures.map(figure => figure.peak.toFixed(0)).join(' ')})   target ≤ 180`)
  console.log(`  size             ${(size / 1e6).toFixed(1)} MB = ${(size / raw * 100).toFixed(2)} % of raw   target ≤ 9.4`)
  return { cpu }
}

async function countSyncs(upstream) {
  const output = join(options.work, 'strace')
  const [command, args] = commandOf(options.program, ['sync', '--upstream', upstream.url, '--metadata', 'all', '--data', join(options.work, 'data-strace'), ...mirrorOptions])
  const child = await start('strace', options.work, 'strace', ['-f', '-c', '-e', 'trace=fsync,fdatasync', '-o', output, command, ...args])
  await new Promise(resolve => child.once('exit', resolve))
  const calls = [...readFileSync(output, 'utf8').matchAll(/^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+.*\b(?:fsync|fdatasync)$/gm)].reduce((sum, match) => sum + Number(match[1]), 0)
  console.log(`syncs: ${calls} fsync and fdatasync = ${(calls / upstream.count * 1000).toFixed(1)} for 1,000 packages   target ≤ 20`)
}

async function measureStages(upstream, syncSeconds) {
  const { raw, seconds } = JSON.parse(execFileSync('dotnet', [benchmarks, 'stages', upstream.url], { encoding: 'utf8' }))
  console.log(`stages, each alone in a warm process; share of the ${syncSeconds.toFixed(2)} s of a sync`)
  let sum = 0
  for (const [stage, time] of Object.entries(seconds)) {
    if (stage !== 'diff') sum += time
    console.log(`  ${stage.padEnd(16)} ${time.toFixed(2)} s, ${(raw / 1e6 / time).toFixed(0)} MB/s` +
      (stage === 'diff' ? ' (only where a document comes again: beside parse)' : `, ${(time / syncSeconds * 100).toFixed(0)} %`))
  }
  console.log(`  ${'the rest'.padEnd(16)} ${(syncSeconds - sum).toFixed(2)} s, ${((1 - sum / syncSeconds) * 100).toFixed(0)} %: start, JIT, queue, events`)
}

async function killAndCheck(upstream) {
  const base = `http://127.0.0.1:${await freePort()}`
  const data = join(options.work, 'data-killed')
  const child = await mirror('killed', 'serve', upstream, data, ['--listen', base])
  await answers(child, `${base}/npm/-/ping`)
  while (JSON.parse((await get(`${base}/npm/`)).text).doc_count < upstream.count) await new Promise(resolve => setTimeout(resolve, 50))
  const gone = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
  console.log(`killed: ${execFileSync('dotnet', [benchmarks, 'check', upstream.url, join(data, 'npm-mirror.sqlite')], { encoding: 'utf8' }).trim()}`)
}

/** What the upstream sends of everything, decoded: what the mirror's own table says it holds. */
function rawBytes(upstream, data) {
  return Number(JSON.parse(execFileSync(...commandOf(options.program, ['status', '--json', '--upstream', upstream.url, '--data', data]), { encoding: 'utf8' })).counts.rawBytes)
}

function folderBytes(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile()).map(entry => statSync(join(entry.parentPath, entry.name)).size).reduce((a, b) => a + b, 0)
}
