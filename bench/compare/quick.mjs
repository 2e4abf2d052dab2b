// One table of what this revision costs, over made-up packuments, each figure beside its control in the same round:
//
// ingest, size     `sync` of everything from nothing; its floor: inflate, read JSON, one SHA-256, zstd 1 in one warm thread
// start, cold      a start until the first packument is answered, then each packument once; a bare Kestrel with the same bytes
// full, 304, tarball   one packument, its 304 and a tarball of 50 KB over 16 connections; nginx and a bare Kestrel with the same bytes
// memory           the peak over all of the above that one process did; the bare Kestrel's
//
// Rounds go through all sides in turn. A round after which one of them answers with other bytes is void. The last column has the ratios of the run
// before, with its revision. What follows `--` goes to the mirror.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { changeSince, checkAlike, checkAnswer, checkTarball, checkVolume, sampleOf } from './checks.mjs'
import { forms } from './expected.mjs'
import { figure, median, sorted } from './figures.mjs'
import { get } from './http.mjs'
import { load } from './load.mjs'
import { writeMadeUp } from './made-up.mjs'
import { machine } from './report.mjs'
import { answers, cpuMicroseconds, endedChildrenSeconds, freePort, peakMegabytes, revisionOf, runWithin, settled, start, startMirror, stop, systems } from './systems.mjs'

const { values: options, positionals: mirrorOptions } = parseArgs({
  allowPositionals: true,
  options: {
    root: { type: 'string' },
    program: { type: 'string' },
    work: { type: 'string' },
    packages: { type: 'string', default: '300' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '10' },
  },
})
const rounds = Number(options.rounds)
const floorProgram = join(options.root, 'artifacts/bin/NpmMirror.Benchmarks/release/NpmMirror.Benchmarks.dll')
const hot = 'medium'
const tarball = 'tarball-of-50kb'
const headers = { accept: forms.full.accept, 'accept-encoding': 'gzip' }
const controlWalks = 10
const digest = bytes => createHash('sha256').update(bytes).digest('hex')

/** What was measured: name → { unit, isMoreBetter, control, pairs: [[mirror, control], …] }. */
const table = new Map()
const voids = []
await runWithin(options.minutes, main, error => console.error(`THE RUN IS VOID: ${error.stack}`))

async function main() {
  rmSync(options.work, { recursive: true, force: true })
  mkdirSync(options.work, { recursive: true })
  const begin = performance.now()
  const corpus = join(options.work, '../quick-corpus')
  const names = writeMadeUp(corpus, { packages: Number(options.packages), seed: 1 })
  const upstream = await startUpstream(corpus)
  console.log(`# ${new Date().toISOString()}, revision ${revisionOf(options.root)}, ${machine()}; ${names.length} made-up packuments, ${rounds} rounds\n`)

  const place = { root: options.root, program: options.program, work: options.work, upstream, port: await freePort(), first: `/npm/${hot}`,
    options: ['--feed', 'none', '--ttl', '1h', ...mirrorOptions] }
  await sync(upstream, join(options.work, 'mirror/data'))
  const prepared = await prepare(place, names)
  for (let round = 0; round < rounds; round++) {
    await measureIngest(corpus, upstream, round)
    await measureColdStart(place, prepared, names, round)
  }
  await measureHot(place, prepared.filter(({ form }) => form !== 'cold'))
  print()
  console.log(`\n${((performance.now() - begin) / 1000).toFixed(0)} s`)
}

function note(what, unit, isMoreBetter, control, mirrorValue, controlValue) {
  const row = table.get(`${what} ${control}`) ?? { what, unit, isMoreBetter, control, pairs: [] }
  row.pairs.push([mirrorValue, controlValue])
  table.set(`${what} ${control}`, row)
}

/** The same list, begun at another place in each round. */
function rotated(list, by) {
  return list.map((_, i) => list[(i + by) % list.length])
}

async function startUpstream(corpus) {
  const url = `http://127.0.0.1:${await freePort()}/`
  const child = await start('upstream', options.work, process.execPath, [join(import.meta.dirname, 'upstream.mjs'), '--corpus', corpus, '--port', new URL(url).port, '--prepared'])
  await answers(child, url)
  return url
}

/** Processor seconds of a `sync` from nothing. */
async function sync(upstream, data) {
  rmSync(data, { recursive: true, force: true })
  const before = endedChildrenSeconds()
  const child = await startMirror('sync', options.work, options.program, ['sync', '--metadata', 'all', '--upstream', upstream, '--data', data, ...mirrorOptions])
  if (!child.exited) await new Promise(resolve => child.once('exit', resolve))
  if (child.code !== 0) throw new Error(`sync ended with ${child.code}; see ${options.work}/sync.log`)
  return endedChildrenSeconds() - before
}

/** The mirror's first answers to everything, and its last ones to what is asked for again and again: what the controls answer with. */
async function prepare(place, names) {
  const mirror = await systems.mirror(place)
  const prepared = []
  const keep = (name, form, answer) => {
    const file = join(options.work, 'prepared', form, name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, answer.raw)
    prepared.push({ name, form, file, type: answer.headers['content-type'], coding: answer.encoding, etag: answer.headers.etag, digest: digest(answer.raw) })
  }
  for (const name of names) {
    const answer = await get(mirror.url(name, 'full'), headers)
    checkAnswer('mirror', 'exact', name, 'full', (await get(place.upstream + name.replace('/', '%2f'))).text, answer)
    keep(name, 'cold', answer)
  }
  keep(hot, 'full', await settled(mirror.base, mirror.url(hot, 'full'), headers))
  keep(tarball, 'tarball', await settled(mirror.base, mirror.url(tarball, 'tarball'), {}))
  await stop(mirror.child)
  return prepared
}

async function measureIngest(corpus, upstream, round) {
  const data = join(options.work, 'data-ingest')
  let seconds
  let floor
  for (const side of rotated(['mirror', 'floor'], round)) {
    if (side === 'mirror') seconds = await sync(upstream, data)
    else floor = JSON.parse(execFileSync('dotnet', [floorProgram, 'floor', corpus, '5'], { encoding: 'utf8' }))
  }
  const megabytes = floor.raw / 1e6
  note('ingest', 'MB of JSON a processor second, start and end included', true, 'floor', megabytes / seconds, megabytes / floor.seconds)
  note('size', '% of the JSON on disk', false, 'zstd 1 alone', folderBytes(data) / floor.raw * 100, floor.stored / floor.raw * 100)
}

async function measureColdStart(place, prepared, names, round) {
  const cold = new Map(prepared.filter(({ form }) => form === 'cold').map(one => [one.name, one]))
  const measured = {}
  for (const side of rotated(['mirror', 'bare'], round)) {
    const { child, url } = await systems[side]({ ...place, prepared, ...(side === 'bare' && { first: `/cold/${hot}` }) })
    const begun = { wall: child.millisecondsToAnswer, processor: cpuMicroseconds(child.pid) / 1000, peak: peakMegabytes(child.pid) }
    const walks = side === 'mirror' ? 1 : controlWalks
    const before = cpuMicroseconds(child.pid)
    for (let walk = 0; walk < walks; walk++) await walkAll(name => url(name, side === 'mirror' ? 'full' : 'cold'), names, cold)
    measured[side] = { ...begun, cold: (cpuMicroseconds(child.pid) - before) / names.length / walks }
    await stop(child)
  }
  const { mirror, bare } = measured
  note('start', 'ms until a packument is answered', false, 'bare Kestrel', mirror.wall, bare.wall)
  note('start, processor', 'ms of processor time', false, 'bare Kestrel', mirror.processor, bare.processor)
  note('memory after the start', 'MB, VmHWM', false, 'bare Kestrel', mirror.peak, bare.peak)
  note('cold', 'µs of processor time an answer, each packument once after a start', false, 'bare Kestrel', mirror.cold, bare.cold)
}

/** Each packument once, by eight clients; every body must be the one that was prepared. */
async function walkAll(url, names, expected) {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const waiting = [...names]
  await Promise.all(Array.from({ length: 8 }, async () => {
    for (let name = waiting.pop(); name; name = waiting.pop()) {
      const answer = await get(url(name), headers, { isDecoded: false, agent })
      if (answer.status !== 200 || digest(answer.raw) !== expected.get(name).digest) throw new Error(`${url(name)}: status ${answer.status}, ${answer.raw.length} bytes that are not those of before`)
    }
  }))
  agent.destroy()
}

async function measureHot(place, prepared) {
  const sides = {}
  for (const side of ['mirror', 'nginx', 'bare']) sides[side] = await systems[side]({ ...place, prepared, ...(side === 'bare' && { first: '/' }) })
  const { mirror } = sides
  checkTarball('mirror', tarball, await get(mirror.url(tarball, 'tarball')))
  const { headers: { etag } } = await settled(mirror.base, mirror.url(hot, 'full'), headers)
  const kinds = { 'hot full': [hot, 'full', headers], 'hot 304': [hot, 'full', { ...headers, 'if-none-match': etag }], 'hot tarball of 50 KB': [tarball, 'tarball', {}] }
  const plans = {}
  for (const [kind, [name, form, more]] of Object.entries(kinds)) {
    plans[kind] = {}
    for (const [side, { child, url }] of Object.entries(sides)) {
      const sample = await sampleOf(url(name, form), more)
      const urls = join(options.work, `${side}-${form}.urls`)
      writeFileSync(urls, `${new URL(sample.url).pathname}\n`)
      plans[kind][side] = { child, headers: more, origin: new URL(sample.url).origin, urls, sample, connections: 16 }
    }
    checkAlike(Object.fromEntries(Object.entries(plans[kind]).map(([side, plan]) => [side, plan.sample])))
    for (const plan of Object.values(plans[kind])) await load({ ...plan, seconds: Number(options.seconds) })
  }
  for (let round = 0; round < rounds; round++) {
    for (const kind of Object.keys(kinds)) await measureRound(kind, plans[kind], round)
  }
  note('memory', 'MB, VmHWM after the hot rounds', false, 'bare Kestrel', peakMegabytes(mirror.child.pid), peakMegabytes(sides.bare.child.pid))
}

async function measureRound(kind, plans, round) {
  const found = {}
  const changes = []
  for (const side of rotated(Object.keys(plans), round)) {
    found[side] = await load({ ...plans[side], seconds: Number(options.seconds) })
    checkVolume(side, found[side], plans[side].connections, plans[side].sample)
    const change = await changeSince(side, plans[side].sample)
    if (change) changes.push(change)
  }
  if (changes.length > 0) return voids.push(`Round ${round + 1} of ${kind} is void: ${changes.join('; ')}.`)
  for (const [side, control] of [['nginx', 'nginx'], ['bare', 'bare Kestrel']]) {
    note(kind, 'answers a second, 16 connections', true, control, found.mirror.perSecond, found[side].perSecond)
    note(`${kind}, processor`, 'µs of processor time an answer', false, control, found.mirror.cpuPerRequest, found[side].cpuPerRequest)
  }
}

function folderBytes(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile()).map(entry => statSync(join(entry.parentPath ?? entry.path, entry.name)).size).reduce((a, b) => a + b, 0)
}

function print() {
  const file = join(options.work, '../quick.json')
  const before = readBefore(file)
  const range = values => `${figure(median(values))} (${figure(sorted(values)[0])}–${figure(sorted(values).at(-1))})`
  console.log(`| | unit | better | mirror | control | | mirror ÷ control |${before ? ` at ${before.revision} |` : ''}\n|---|---|---|--:|---|--:|--:|${before ? '--:|' : ''}`)
  const ratios = {}
  for (const [key, { what, unit, isMoreBetter, control, pairs }] of table) {
    const quotients = pairs.map(([mirror, other]) => mirror / other)
    ratios[key] = median(quotients)
    console.log(`| ${what} | ${unit} | ${isMoreBetter ? 'more' : 'less'} | ${range(pairs.map(([mirror]) => mirror))} | ${control} | ${range(pairs.map(([, other]) => other))} | **${figure(ratios[key])}** (${range(quotients).split('(')[1]} |` +
      (before ? ` ${before.ratios[key] === undefined ? '–' : figure(before.ratios[key])} |` : ''))
  }
  for (const sentence of voids) console.log(`\n${sentence}`)
  writeFileSync(file, JSON.stringify({ revision: revisionOf(options.root), ratios }))
}

function readBefore(file) {
  try { return JSON.parse(readFileSync(file, 'utf8')) } catch { return null }
}
