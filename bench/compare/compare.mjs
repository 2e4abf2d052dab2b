// Starts every system on the same packuments, checks their answers, drives them in turn and prints what was measured.
//
// 1 start the upstream and the mirror; once its answers have their last bytes, give the controls those bytes and ETags
// 2 check one answer of each system, and many at once; the controls' are the mirror's to the byte   3 warm up
// 4 rounds: every system once a round, beginning with another each time; a round after which a system has other bytes is void
// 5 medians, ratios of the same round, memory
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { cpus, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { changeSince, checkAlike, checkAnswer, checkTarball, checkVolume, sampleOf } from './checks.mjs'
import { forms } from './expected.mjs'
import { get } from './http.mjs'
import { load } from './load.mjs'
import { printCase, printLatency, printMemory } from './report.mjs'
import { sizes } from './tarballs.mjs'
import { answers, freePort, peakMegabytes, runWithin, settled, start, stop, systems } from './systems.mjs'

const { values: options, positionals: mirrorOptions } = parseArgs({
  allowPositionals: true,
  options: {
    root: { type: 'string' },
    program: { type: 'string' },
    tools: { type: 'string' },
    work: { type: 'string' },
    corpus: { type: 'string' },
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '4' },
    warm: { type: 'string', default: '3' },
    packages: { type: 'string' },
    tarballs: { type: 'string', default: Object.keys(sizes).join(',') },
    connections: { type: 'string', default: '1,16,64' },
    systems: { type: 'string', default: Object.keys(systems).join(',') },
    cases: { type: 'string', default: 'full,abbreviated,unchanged,tarball,sweep-full,sweep-abbreviated' },
    minutes: { type: 'string', default: '180' },
  },
})
const rounds = Number(options.rounds)
const seconds = Number(options.seconds)
const chosen = options.systems.split(',')
const cases = options.cases.split(',')
const tarballs = options.tarballs.split(',')
const allNames = readdirSync(options.corpus).filter(file => file.endsWith('.json')).map(file => decodeURIComponent(file.slice(0, -5))).sort()
// Those of the made-up packuments that are about as long, where there are no real ones.
const packages = options.packages?.split(',') ?? (allNames.includes('express') ? ['express', 'next'] : ['medium', 'large'])
const log = text => console.error(`${execFileSync('date', ['+%T'], { encoding: 'utf8' }).trim()} ${text}`)

const started = {}
await runWithin(options.minutes, main, error => log(`THE SERIES IS VOID: ${error.stack}`))

async function main() {
  rmSync(options.work, { recursive: true, force: true })
  mkdirSync(options.work, { recursive: true })
  const upstream = await startUpstream()
  if (chosen.some(isControl) && !chosen.includes('mirror')) throw new Error('The controls answer with the bytes of the mirror: --systems must have mirror in it.')
  // The mirror first, wherever it stands: the controls are made from its answers.
  if (chosen.includes('mirror')) await startSystem('mirror', upstream, [])
  const prepared = chosen.some(isControl) ? await prepare() : []
  for (const name of chosen) if (!started[name]) await startSystem(name, upstream, prepared)
  printHead()

  const results = []
  for (const kind of cases) {
    if (kind.startsWith('latency')) {
      await measureLatency(kind, upstream)
      continue
    }
    for (const subject of isWalk(kind) ? [allNames] : subjectsOf(kind).map(name => [name])) {
      const measured = await measureCase(kind, subject, upstream)
      for (const result of measured) { printCase(result, chosen); results.push(result) }
    }
  }
  const memory = Object.fromEntries(chosen.map(name => [name, peakMegabytes(started[name].child.pid)]))
  printMemory(memory)
  writeFileSync(join(options.work, 'results.json'), JSON.stringify({ results, memory }, null, 1))
  log(`every figure is in ${join(options.work, 'results.json')}`)
}

async function startUpstream() {
  const port = await freePort()
  const child = await start('upstream', options.work, process.execPath,
    [join(import.meta.dirname, 'upstream.mjs'), '--corpus', options.corpus, '--port', String(port)])
  await answers(child, `http://127.0.0.1:${port}/`)
  return `http://127.0.0.1:${port}/`
}

async function startSystem(name, upstream, prepared) {
  log(`starting ${name}`)
  started[name] = await systems[name]({ root: options.root, program: options.program, tools: options.tools, work: options.work, upstream, prepared, options: mirrorOptions })
}

/** What the controls serve: the bytes, type, coding and ETag that the mirror answers once it has its last rendition. */
async function prepare() {
  const prepared = []
  const wanted = cases.filter(kind => !isWalk(kind)).flatMap(kind => subjectsOf(kind).map(name => [name, formOf(kind)]))
  for (const [name, form] of new Map(wanted.map(pair => [pair.join(' '), pair])).values()) {
    const answer = await lastAnswer(name, form)
    const file = join(options.work, 'prepared', form, name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, answer.raw)
    prepared.push({ name, form, file, type: answer.headers['content-type'], coding: answer.encoding, etag: answer.headers.etag })
    log(`  ${form} ${name}: ${answer.raw.length} bytes, ${answer.encoding}`)
  }
  return prepared
}

/** The mirror's answer when no smaller one is to come. */
async function lastAnswer(name, form) {
  const answer = await settled(started.mirror.base, started.mirror.url(name, form), headersOf(form))
  if (answer.status !== 200) throw new Error(`The mirror answered ${answer.status} to ${form} ${name}: ${answer.raw.toString().slice(0, 200)}`)
  return answer
}

/** Programs that answer with prepared bytes: they are beside the mirror where it has its answers ready, not where it makes them. */
function isControl(system) {
  return system === 'bare' || system === 'nginx'
}

function isWalk(kind) {
  return kind.startsWith('sweep') || kind.startsWith('latency')
}

function subjectsOf(kind) {
  return kind === 'tarball' ? tarballs : packages
}

function formOf(kind) {
  return kind === 'tarball' ? kind : kind.endsWith('abbreviated') ? 'abbreviated' : 'full'
}

function headersOf(form) {
  return form === 'tarball' ? { accept: '*/*' } : { accept: forms[form].accept, 'accept-encoding': 'gzip' }
}

/** One case is a kind of request for one packument, or for all in turn. */
async function measureCase(kind, names, upstream) {
  const isSweep = kind.startsWith('sweep')
  const title = `${kind} ${isSweep ? `of ${names.length} packuments` : names[0]}`
  log(title)
  const plans = {}
  for (const system of chosen.filter(name => !isSweep || !isControl(name))) {
    const plan = await planOf(system, kind, names, upstream)
    if (plan) plans[system] = plan
  }
  if (!isSweep) checkAlike(Object.fromEntries(Object.entries(plans).filter(([system]) => started[system].degree === 'exact').map(([system, plan]) => [system, plan.sample])))
  const measured = []
  for (const connections of isSweep ? [16] : options.connections.split(',').map(Number)) {
    const result = { title, connections, body: isSweep || kind === 'unchanged' ? null : (plans.mirror ?? plans[chosen[0]]).sample.body, rounds: [], voids: [] }
    // A system that needs seconds for one answer would not finish one a round with many waiting.
    const able = Object.keys(plans).filter(system => isSweep || connections === 1 || plans[system].sample.seconds * connections < seconds)
    for (const system of able) await load({ ...plans[system], connections, seconds: Number(options.warm) })
    for (let round = 0; round < rounds; round++) {
      const figures = {}
      const changes = []
      for (const system of rotated(able, round)) {
        // A walk begins elsewhere in each round, at the same place for every system.
        figures[system] = await load({ ...plans[system], connections, seconds, skip: round * 293 })
        checkVolume(system, figures[system], connections, isSweep ? null : plans[system].sample)
        const change = await changeSince(system, plans[system].sample)
        // A proxy's compression is its own matter; the mirror and its controls must have sent the same bytes.
        if (change && started[system].degree === 'exact' && !isSweep) changes.push(change)
      }
      if (changes.length === 0) result.rounds.push(figures)
      else result.voids.push(`Round ${round + 1} is void: ${changes.join('; ')}.`)
    }
    if (result.rounds.length === 0) throw new Error(`${title}, ${connections} connections: no round counts. ${result.voids.join(' ')}`)
    result.memory = Object.fromEntries(able.map(name => [name, peakMegabytes(started[name].child.pid)]))
    measured.push(result)
  }
  return measured
}

/** One walk over everything by 16 clients, each answer timed: how long small documents wait while long ones are made. */
async function measureLatency(kind, upstream) {
  const form = formOf(kind)
  const isLong = new Map(allNames.map(name => [name, statSync(join(options.corpus, `${encodeURIComponent(name)}.json`)).size >= 1_000_000]))
  const results = {}
  for (const system of chosen.filter(name => !isControl(name) && name !== 'verdaccio')) {
    if (system === 'mirror') {
      // Held, but nothing in memory.
      for (const name of allNames) await get(started.mirror.url(name, form), { accept: forms[form].accept, 'accept-encoding': 'gzip' }, { isDecoded: false })
      await stop(started.mirror.child)
      await startSystem('mirror', upstream, [])
    } else {
      for (const name of allNames) await get(started[system].url(name, form), { accept: forms[form].accept, 'accept-encoding': 'gzip' }, { isDecoded: false })
    }
    results[system] = await walk(started[system].url, form, shuffled(allNames), isLong)
  }
  printLatency(kind, results)
}

async function walk(url, form, names, isLong) {
  const times = { short: [], long: [] }
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  let next = 0
  const begin = performance.now()
  await Promise.all(Array.from({ length: 16 }, async () => {
    while (next < names.length) {
      const name = names[next++]
      const asked = performance.now()
      const answer = await get(url(name, form), { accept: forms[form].accept, 'accept-encoding': 'gzip' }, { isDecoded: false, agent })
      if (answer.status !== 200) throw new Error(`${name}: status ${answer.status}`)
      times[isLong.get(name) ? 'long' : 'short'].push((performance.now() - asked) * 1000)
    }
  }))
  agent.destroy()
  return { ...times, perSecond: names.length / (performance.now() - begin) * 1000 }
}

function rotated(list, by) {
  return list.map((_, i) => list[(i + by) % list.length])
}

/** Checks the answers of one system and says how to load it; undefined when the case does not exist there. */
async function planOf(system, kind, names, upstream) {
  const { child, degree, url } = started[system]
  const form = formOf(kind)
  const headers = headersOf(form)
  // Its rendition may have left the memory since the controls were made.
  if (system === 'mirror' && !isWalk(kind)) await lastAnswer(names[0], form)
  let etag
  if (form === 'tarball') checkTarball(system, names[0], await firstAnswer(url(names[0], form), headers, degree === 'exact' ? 1 : 3))
  else for (const name of names) {
    const answer = await firstAnswer(url(name, form), headers, degree === 'exact' ? 1 : 3)
    checkAnswer(system, degree, name, form, (await get(upstream + name.replace('/', '%2f'))).text, answer)
    etag = answer.headers.etag
  }
  if (kind === 'unchanged') {
    if (!etag) return log(`  ${system} sends no ETag: left out`)
    headers['if-none-match'] = etag
  }
  const sample = await sampleOf(url(names.at(-1), form), headers)
  if (sample.status !== (kind === 'unchanged' ? 304 : 200)) throw new Error(`${system} answered ${sample.status} to ${kind} ${names.at(-1)}`)
  // Wrong bytes that only show when many ask at once would be missed by one request.
  if (sample.seconds < 0.1) await Promise.all(Array.from({ length: 64 }, () => changeSince(system, sample)))

  const urls = join(options.work, `${system}-${form}.urls`)
  writeFileSync(urls, shuffled(names).map(name => new URL(url(name, form)).pathname + '\n').join(''))
  log(`  ${system}: ${names.length} checked, ${sample.wireBytes} bytes on the wire, ${sample.seconds.toFixed(3)} s`)
  // One thread walks the list; two would walk it twice, each for itself.
  return { child, headers, origin: new URL(sample.url).origin, urls, sample, ...(kind.startsWith('sweep') && { threads: 1 }) }
}

/** Verdaccio was seen to drop a connection while it still worked for clients that had left: others' systems may try again. */
async function firstAnswer(url, headers, attempts) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await get(url, headers)
    } catch (error) {
      if (attempt === attempts) throw error
      log(`  ${error.message}; trying again`)
    }
  }
}

/** A fixed order that is not the alphabet's, so that a system which comes through a part of the list only sees a fair part. */
function shuffled(names) {
  const mark = name => createHash('md5').update(name).digest('hex')
  return names.map(name => [mark(name), name]).sort().map(pair => pair[1])
}

function printHead() {
  console.log(`# ${new Date().toISOString()}\n`)
  console.log(`${cpus().length} × ${cpus()[0].model}, ${Math.round(totalmem() / 2 ** 30)} GB, ${readFileSync('/proc/version', 'utf8').split(' ').slice(0, 3).join(' ')}; ` +
    `load ${readFileSync('/proc/loadavg', 'utf8').split(' ').slice(0, 3).join(' ')} before the start`)
  console.log(`wrk on the same machine (2 threads, 1 for one connection and for sweeps), keep-alive, packuments in gzip; ${rounds} rounds of ${seconds} s, systems in turn; ` +
    `each warmed for ${options.warm} s of the same load after its answers were checked\n`)
  console.log('| system | version | configuration |\n|---|---|---|')
  for (const name of chosen) console.log(`| ${name} | ${started[name].version} | ${started[name].configuration} |`)
}
