// Two situations in which one client may suffer from others:
//
// stampede  200 clients ask at once for a packument of 20 MB, or a tarball of 20 MB, that nobody has asked for before. The upstream holds
//           its answer until all are connected, waits 500 ms and sends at 20 MB/s. Meanwhile one client asks for a small hot packument,
//           200 times a second.
// feed      2,000 hot reads a second while 200 packages a second of 20–50 KB change upstream.
//
// Reads are open-loop: each has its moment, and its time counts from there, whatever became of the one before.
import { createHash } from 'node:crypto'
import { rmSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'
import { get } from './http.mjs'
import { median, milliseconds, percentile } from './figures.mjs'
import { machine } from './report.mjs'
import { answers, freePort, peakMegabytes, runWithin, startMirror } from './systems.mjs'
import { CrowdUpstream, now } from './crowd-upstream.mjs'

const { values: options } = parseArgs({
  args: isMainThread ? process.argv.slice(2) : [],
  options: {
    program: { type: 'string' }, work: { type: 'string' }, clients: { type: 'string', default: '200' }, rounds: { type: 'string', default: '3' }, seconds: { type: 'string', default: '8' },
    cases: { type: 'string', default: 'stampede,feed' }, kinds: { type: 'string', default: 'packument,tarball' }, minutes: { type: 'string', default: '20' },
  },
})

if (!isMainThread) {
  parentPort.postMessage(await readOpenLoop(workerData))
} else {
  await runWithin(options.minutes, main, error => console.error(`THE RUN IS VOID: ${error.stack}`))
}

async function main() {
  rmSync(options.work, { recursive: true, force: true })
  const upstream = await CrowdUpstream.start(await freePort())
  const base = `http://127.0.0.1:${await freePort()}`
  const child = await startMirror('mirror', options.work, options.program, ['serve',
    '--upstream', upstream.url, '--metadata', 'all', '--listen', base, '--data', join(options.work, 'data')])
  await answers(child, `${base}/npm/-/ping`)
  await warm(base, upstream)
  console.log(`# ${new Date().toISOString()}, ${machine()}\n`)
  const rounds = Number(options.rounds)
  if (options.cases.includes('stampede')) {
    for (const kind of options.kinds.split(',')) await stampedes(kind, base, upstream, Number(options.clients), rounds)
  }
  if (options.cases.includes('feed')) await busyFeed(base, upstream, rounds, Number(options.seconds))
  console.log(`\nVmHWM of the mirror over the whole run: ${peakMegabytes(child.pid).toFixed(0)} MB`)
}

/** Until the first walk is done and every small packument was served. */
async function warm(base, upstream) {
  const deadline = Date.now() + 120_000
  for (;;) {
    const { doc_count: held } = JSON.parse((await get(`${base}/npm/`)).text)
    if (held >= upstream.small.length) break
    if (Date.now() > deadline) throw new Error(`only ${held} of ${upstream.small.length} packages were held after two minutes`)
    await new Promise(resolve => setTimeout(resolve, 200))
  }
  for (const name of upstream.small) if ((await get(`${base}/npm/${name}`)).status !== 200) throw new Error(`${name} is not served`)
  for (let i = 0; i < 3; i++) await readHot({ base, names: upstream.small.slice(0, 1), perSecond: 200, seconds: 2 })
}

async function stampedes(kind, base, upstream, clients, rounds) {
  console.log(`\n## ${clients} clients, one new ${kind} of 20 MB, ${rounds} rounds\n`)
  console.log('| single, s | last of all, s | ÷ | upstream requests | last first byte ÷ half sent | hot p99 alone, ms | hot p99 meanwhile, ms |\n|--:|--:|--:|--:|--:|--:|--:|')
  const probe = { base, names: upstream.small.slice(0, 1), perSecond: 200, seconds: 5 }
  for (let round = 0; round < rounds; round++) {
    const single = await crowd(kind, base, upstream, 1)
    const alone = await readHot(probe)
    const reading = readHot(probe)
    await new Promise(resolve => setTimeout(resolve, 500))
    const all = await crowd(kind, base, upstream, clients)
    const meanwhile = await reading
    console.log(`| ${single.last.toFixed(2)} | ${all.last.toFixed(2)} | ${(all.last / single.last).toFixed(2)} | ${all.upstreamRequests} | ` +
      `${kind === 'tarball' ? (all.firstBytes / all.halfSent).toFixed(2) : '–'} | ${milliseconds(alone.p99)} | ${milliseconds(meanwhile.p99)} |`)
  }
}

/** All ask for the same new thing; times in seconds from the moment the upstream was let go. */
async function crowd(kind, base, upstream, clients) {
  const large = upstream.publishLarge()
  if (kind === 'tarball') {
    const packument = await upstream.withoutGate(large.name, () => get(`${base}/npm/${large.name}`))
    if (packument.status !== 200) throw new Error(`${large.name}: ${packument.status}`)
  }
  const path = kind === 'tarball' ? `/npm/${large.name}/-/${large.name}-1.0.0.tgz` : `/npm/${large.name}`
  const gate = upstream.hold(large.name, kind)
  const crowding = askAtOnce(base, path, clients)
  await Promise.all([crowding.asked, gate.reached])
  const begin = now()
  gate.open()
  const all = await crowding.done
  const expected = kind === 'tarball' ? large.tarball.length : all.lengths[0]
  if (all.statuses.some(status => status !== 200) || all.lengths.some(length => length !== expected)) throw new Error(`${path}: statuses ${new Set(all.statuses)}, lengths ${new Set(all.lengths)} instead of ${expected}`)
  if (kind === 'tarball' && all.sha1 !== createHash('sha1').update(large.tarball).digest('hex')) throw new Error(`${path}: other bytes`)
  const since = moment => (moment - begin) / 1000
  return { last: since(all.last), firstBytes: since(all.first), halfSent: since(gate.halfSentAt), upstreamRequests: gate.requests }
}

/** All clients of a crowd: a program of its own, as nothing may wait for its clients' clients here. */
function askAtOnce(base, path, clients) {
  const child = spawn('python3', [new URL('crowd-clients.py', import.meta.url).pathname, new URL(base).port, path, String(clients)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error(`${path}: the clients gave up`)
    return value
  }
  const asked = next()
  return { asked, done: asked.then(next).then(JSON.parse) }
}

async function busyFeed(base, upstream, rounds, seconds) {
  console.log(`\n## 2,000 hot reads a second; with the feed busy: 200 changed packages of 20–50 KB a second; ${rounds} rounds of ${seconds} s\n`)
  console.log('| p99 without, ms | p99 with, ms | ÷ | p50 without, ms | p50 with, ms | log entries a second |\n|--:|--:|--:|--:|--:|--:|')
  const load = { base, names: upstream.small.slice(0, 20), perSecond: 2000, seconds }
  for (let round = 0; round < rounds; round++) {
    const quiet = await readHot(load)
    const before = JSON.parse((await get(`${base}/npm/`)).text).update_seq
    const changing = upstream.changeEverySecond(200, seconds)
    const busy = await readHot(load)
    await changing
    const stored = (JSON.parse((await get(`${base}/npm/`)).text).update_seq - before) / seconds
    console.log(`| ${milliseconds(quiet.p99)} | ${milliseconds(busy.p99)} | ${(busy.p99 / quiet.p99).toFixed(2)} | ${milliseconds(quiet.p50)} | ${milliseconds(busy.p50)} | ${stored.toFixed(0)} |`)
  }
}

/** Reads in a thread of its own, so that the crowd here does not disturb its clock. */
function readHot(load) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: load })
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

/** Sends each request at its moment over a few connections kept alive; microseconds from the moment to the whole answer. */
async function readOpenLoop({ base, names, perSecond, seconds }) {
  const connections = await Promise.all(Array.from({ length: perSecond > 500 ? 32 : 4 }, () => openConnection(base)))
  const times = []
  const total = perSecond * seconds
  const begin = performance.now()
  const pending = []
  for (let n = 0; n < total;) {
    const due = Math.min(total, Math.floor((performance.now() - begin) * perSecond / 1000) + 1)
    for (; n < due; n++) {
      const moment = begin + n * 1000 / perSecond
      pending.push(connections[n % connections.length].get(names[n % names.length]).then(() => times.push((performance.now() - moment) * 1000)))
    }
    // Asleep until the next moment, give or take a millisecond: a reader that spins would take a core from those it measures.
    await new Promise(resolve => setTimeout(resolve, 1))
  }
  await Promise.all(pending)
  for (const connection of connections) connection.close()
  return { p50: median(times), p99: percentile(times, 0.99), count: times.length }
}

async function openConnection(base) {
  const { port, host } = new URL(base)
  const socket = connect(Number(port), '127.0.0.1')
  socket.setNoDelay(true)
  await new Promise((resolve, reject) => { socket.once('connect', resolve); socket.once('error', reject) })
  const waiting = []
  let received = Buffer.alloc(0)
  socket.on('data', data => {
    received = received.length ? Buffer.concat([received, data]) : data
    for (;;) {
      const head = received.indexOf('\r\n\r\n')
      const length = head < 0 ? null : /content-length: (\d+)/i.exec(received.subarray(0, head).toString('latin1'))
      if (!length || received.length < head + 4 + Number(length[1])) return
      if (!received.subarray(9, 12).equals(Buffer.from('200'))) throw new Error(`status ${received.subarray(9, 12)}`)
      received = received.subarray(head + 4 + Number(length[1]))
      waiting.shift()()
    }
  })
  return {
    get: name => new Promise(resolve => {
      waiting.push(resolve)
      socket.write(`GET /npm/${name} HTTP/1.1\r\nHost: ${host}\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n\r\n`)
    }),
    close: () => socket.destroy(),
  }
}
