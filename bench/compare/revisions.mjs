// Two builds of this mirror on the same packuments, in turn, with the shipped settings:
//
// 1 sync       `sync` of some hundred packuments from nothing: processor time from start to exit
// 2 cold       after a new start, each of them once, as npm asks for it
// 3 hot        one packument, its 304, and one tarball, again and again over 16 connections
// 4 memory     VmHWM of the server after 2 and 3
//
// Prints each figure of both (medians; in brackets all rounds) and the new one's as a share of the old one's, where more is better. Ends with 1
// when an answer is not the upstream's, or when the two answer with other bodies; a share below --least is told, not failed.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { figure, median } from './figures.mjs'
import { machine } from './report.mjs'
import { get } from './http.mjs'
import { load } from './load.mjs'
import { answers, cpuMicroseconds, freePort, peakMegabytes, runWithin, start, startMirror, stop } from './systems.mjs'

const { values: options } = parseArgs({
  options: {
    old: { type: 'string' },
    new: { type: 'string' },
    work: { type: 'string' },
    corpus: { type: 'string' },
    packuments: { type: 'string', default: '300' },
    hot: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    least: { type: 'string', default: '0.97' },
    minutes: { type: 'string', default: '40' },
  },
})
// That of the made-up packuments where there are no real ones.
options.hot ??= existsSync(join(options.corpus, 'express.json')) ? 'express' : 'medium'
const tarball = 'tarball-of-50kb'
const headers = { accept: 'application/vnd.npm.install-v1+json', 'accept-encoding': 'gzip' }

await runWithin(options.minutes, main)

async function main() {
  rmSync(options.work, { recursive: true, force: true })
  const corpus = join(options.work, 'corpus')
  mkdirSync(corpus, { recursive: true })
  const files = readdirSync(options.corpus).filter(file => file.endsWith('.json')).sort()
  const step = Math.max(1, Math.floor(files.length / Number(options.packuments)))
  const chosen = new Set([...files.filter((_, i) => i % step === 0), `${encodeURIComponent(options.hot)}.json`])
  for (const file of chosen) symlinkSync(join(options.corpus, file), join(corpus, file))
  const names = [...chosen].map(file => decodeURIComponent(file.slice(0, -'.json'.length)))

  const upstream = `http://127.0.0.1:${await freePort()}/`
  const source = await start('upstream', options.work, process.execPath, [join(import.meta.dirname, 'upstream.mjs'), '--corpus', corpus, '--port', new URL(upstream).port, '--prepared'])
  await answers(source, upstream, 300)
  console.log(`${new Date().toISOString()}; ${machine()}; ${names.length} packuments, ${options.rounds} rounds in turn`)

  const rounds = { old: [], new: [] }
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const side of round % 2 ? ['new', 'old'] : ['old', 'new']) rounds[side].push(await measure(side, upstream, names))
  }
  if (rounds.old[0].digest !== rounds.new[0].digest) throw new Error('The two revisions answer with other bodies: what they do is not the same work.')
  for (const [what, unit, isMoreBetter] of [
    ['sync', 's of processor time', false], ['cold', 'µs of processor time an answer', false], ['hot packument', '/s', true], ['hot 304', '/s', true],
    ['hot tarball', '/s', true], ['hot packument cpu', 'µs', false], ['hot 304 cpu', 'µs', false], ['hot tarball cpu', 'µs', false], ['memory', 'MB', false]]) {
    const [before, after] = ['old', 'new'].map(side => rounds[side].map(one => one[what]))
    const share = isMoreBetter ? median(after) / median(before) : median(before) / median(after)
    console.log(`${what.padEnd(18)} ${show(before)} → ${show(after)} ${unit}: ${share.toFixed(3)}${share < Number(options.least) ? `   below ${options.least}` : ''}`)
  }
  await stop(source)
}

function show(values) {
  return `${figure(median(values))} (${values.map(figure).join(' ')})`
}

async function measure(side, upstream, names) {
  const program = options[side]
  const data = join(options.work, `data-${side}`)
  rmSync(data, { recursive: true, force: true })
  const common = ['--upstream', upstream, '--data', data, '--feed', 'none', '--ttl', '1h']
  const result = { sync: await secondsOf(await startMirror(`sync-${side}`, options.work, program, ['sync', ...names, ...common])) }

  const base = `http://127.0.0.1:${await freePort()}`
  const server = await startMirror(`serve-${side}`, options.work, program, ['serve', '--listen', base, ...common])
  await answers(server, `${base}/npm/-/ping`)
  const digest = createHash('sha256')
  let before = cpuMicroseconds(server.pid)
  for (const name of names) {
    const answer = await get(`${base}/npm/${name.replace('/', '%2f')}`, headers, { agent: undefined })
    if (answer.status !== 200) throw new Error(`${name} is answered with ${answer.status}.`)
    digest.update(answer.text.replaceAll(base, ''))
  }
  result.cold = (cpuMicroseconds(server.pid) - before) / names.length
  result.digest = digest.digest('hex')

  const etag = (await get(`${base}/npm/${options.hot}`, headers)).headers.etag
  await get(`${base}/npm/${tarball}/-/${tarball}-1.0.0.tgz`)
  await new Promise(resolve => setTimeout(resolve, 1500))
  for (const [what, path, more] of [['hot packument', `/npm/${options.hot}`, {}], ['hot 304', `/npm/${options.hot}`, { 'if-none-match': etag }], ['hot tarball', `/npm/${tarball}/-/${tarball}-1.0.0.tgz`, {}]]) {
    const urls = join(options.work, 'urls')
    writeFileSync(urls, `${path}\n`)
    const run = () => load({ child: server, origin: base, urls, headers: { ...headers, ...more }, connections: 16, seconds: Number(options.seconds) })
    await run()
    const { perSecond, cpuPerRequest, errors } = await run()
    if (errors > 0) throw new Error(`${errors} requests for ${path} failed.`)
    Object.assign(result, { [what]: perSecond, [`${what} cpu`]: cpuPerRequest })
  }
  result.memory = peakMegabytes(server.pid)
  await stop(server)
  return result
}

/** Processor time of a process, to its end. */
async function secondsOf(child) {
  let last = 0
  while (!child.exited) {
    // The process may end between a look and the next.
    try { last = cpuMicroseconds(child.pid) } catch (error) { if (error.code !== 'ENOENT' && error.code !== 'ESRCH') throw error }
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  if (child.code !== 0) throw new Error(`sync ended with ${child.code}; see its log in ${options.work}`)
  return last / 1e6
}
