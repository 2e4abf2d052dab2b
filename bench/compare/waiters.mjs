// Thousands of followers that wait for the next change, each on a socket of its own from this process:
//
// idle   the peak of the mirror's memory (VmHWM) while they wait, by the kind of waiting
// told   one change upstream: how long until one lone waiter, and until each of all, has its whole answer
//
// Times count from the moment the upstream tells the mirror of the change, so the fetch of the packument and the commit are in them.
import { rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { get } from './http.mjs'
import { figure, percentile } from './figures.mjs'
import { machine } from './report.mjs'
import { answers, freePort, peakMegabytes, runWithin, startMirror, stopAll } from './systems.mjs'
import { CrowdUpstream, now } from './crowd-upstream.mjs'

const CONNECTING_MAX = 200
const WARM_ROUNDS = 20
let changed = 0
// What is asked for, and what comes last when a change was told.
const waits = {
  longpoll: ['_changes?feed=longpoll&since=now&timeout=600000', '\r\n0\r\n\r\n'],
  'longpoll with heartbeats of 10 s': ['_changes?feed=longpoll&since=now&heartbeat=10000', '\r\n0\r\n\r\n'],
  continuous: ['_changes?feed=continuous&since=now&timeout=600000', '\n'],
  events: ['-/events?since=now', '\n\n'],
}
const { values: options, positionals: mirrorOptions } = parseArgs({
  allowPositionals: true,
  options: {
    program: { type: 'string' }, work: { type: 'string' }, waiters: { type: 'string', default: '10000' }, seconds: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '50' }, limit: { type: 'string', default: '220' }, minutes: { type: 'string', default: '20' }, kinds: { type: 'string', default: Object.keys(waits).join(',') },
  },
})
async function main() {
  const waiters = Number(options.waiters)
  console.log(`# ${new Date().toISOString()}, ${machine()}, ${waiters} waiters\n`)
  console.log('| waiting | VmHWM before, MB | VmHWM, MB | KB a waiter | one alone told after, ms (p50, p99) | all told after, ms (first, p50, last) |\n|---|--:|--:|--:|--:|--:|')
  let peak = 0
  for (const kind of options.kinds.split(',')) {
    const idle = await measure(kind, waiters)
    if (kind.startsWith('longpoll')) peak = Math.max(peak, idle)
  }
  const isUnder = peak < Number(options.limit)
  console.log(`\n${isUnder ? 'under' : 'NOT under'} ${options.limit} MB with long-polls`)
  return isUnder ? 0 : 1
}

/** One kind of waiting, with a mirror of its own. */
async function measure(kind, count) {
  const folder = join(options.work, kind.replaceAll(' ', '-'))
  rmSync(folder, { recursive: true, force: true })
  const upstream = await CrowdUpstream.start(await freePort(), 20)
  const base = `http://127.0.0.1:${await freePort()}`
  const child = await startMirror('mirror', folder, options.program, ['serve',
    '--upstream', upstream.url, '--metadata', 'all', '--listen', base, '--data', join(folder, 'data'), ...mirrorOptions])
  await answers(child, `${base}/npm/-/ping`)
  while (JSON.parse((await get(`${base}/npm/`)).text).doc_count < upstream.small.length) await pause(100)

  const alone = []
  for (let round = -WARM_ROUNDS; round < Number(options.rounds); round++) {
    const waiter = new Waiter(base, ...waits[kind])
    await waiter.waiting
    const [time] = await tell(upstream, [waiter])
    if (round >= 0) alone.push(time)
    waiter.close()
  }
  alone.sort((a, b) => a - b)

  const before = peakMegabytes(child.pid)
  const all = []
  for (let at = 0; at < count; at += CONNECTING_MAX) {
    const some = Array.from({ length: Math.min(CONNECTING_MAX, count - at) }, () => new Waiter(base, ...waits[kind]))
    await Promise.all(some.map(waiter => waiter.waiting))
    all.push(...some)
  }
  await pause(Number(options.seconds) * 1000)
  if (all.some(waiter => waiter.isOver)) throw new Error(`${all.filter(waiter => waiter.isOver).length} of ${count} did not wait`)
  const idle = peakMegabytes(child.pid)
  const times = (await tell(upstream, all)).sort((a, b) => a - b)
  const told = peakMegabytes(child.pid)
  for (const waiter of all) waiter.close()
  console.log(`| ${kind} | ${before.toFixed(0)} | ${idle.toFixed(0)} (${told.toFixed(0)} once told) | ${((idle - before) * 1024 / count).toFixed(1)} | ` +
    `${figure(percentile(alone, 0.5))}, ${figure(percentile(alone, 0.99))} | ${figure(times[0])}, ${figure(percentile(times, 0.5))}, ${figure(times.at(-1))} |`)
  await stopAll()
  return idle
}

/** Changes one package; when each of the waiters has heard of it, how long that took. */
async function tell(upstream, waiters) {
  const name = upstream.small[changed++ % upstream.small.length]
  const begin = now()
  upstream.changeOne(name)
  return await Promise.all(waiters.map(waiter => waiter.told(name).then(end => end - begin)))
}

const pause = time => new Promise(resolve => setTimeout(resolve, time))

/** One follower on a socket of its own. */
class Waiter {
  isOver = false
  #last
  #socket
  #text = ''
  #name = null

  constructor(base, path, last) {
    this.#last = last
    const { port, host } = new URL(base)
    this.waiting = new Promise((resolve, reject) => {
      this.#socket = connect(Number(port), '127.0.0.1')
        .on('error', reject)
        .on('close', () => { this.isOver = true; reject(new Error('the mirror closed the connection')) })
        .on('connect', () => this.#socket.write(`GET /npm/${path} HTTP/1.1\r\nHost: ${host}\r\nAccept: */*\r\n\r\n`))
        .on('data', data => { resolve(); this.#hear(data) })
    })
  }

  /** When the change of this package has come, whole. */
  told(name) {
    this.#name = name
    return new Promise(resolve => { this.resolve = resolve })
  }

  close() {
    this.#socket.removeAllListeners('close')
    this.#socket.destroy()
  }

  #hear(data) {
    if (!this.#name) {
      // Heads and heartbeats; an answer that is whole was not waiting.
      if (data.includes('\r\n0\r\n\r\n')) this.isOver = true
      return
    }
    this.#text += data.toString('latin1')
    const at = this.#text.indexOf(`"${this.#name}"`)
    if (at >= 0 && this.#text.indexOf(this.#last, at) >= 0) this.resolve(now())
  }
}

await runWithin(options.minutes, main, error => console.error(`THE RUN IS VOID: ${error.stack}`))
