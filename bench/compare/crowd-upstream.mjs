// The upstream of crowd.mjs: small packages that change when told to, and large ones whose answers are held back and sent slowly.
import { createHash, randomBytes } from 'node:crypto'
import { createServer } from 'node:http'

const SMALL = 2000
const LARGE_BYTES = 20 * 1024 * 1024
const BYTES_PER_SECOND = 20 * 1024 * 1024
const PIECE_BYTES = 64 * 1024
const PAUSE_MILLISECONDS = 500

/** Milliseconds by a clock that all threads share. */
export const now = () => performance.timeOrigin + performance.now()

export class CrowdUpstream {
  small = []
  #revisions = new Map()
  #log = []
  #large = new Map()
  #gates = new Map()
  #followers = new Set()

  static async start(port, packages = SMALL) {
    const upstream = new CrowdUpstream()
    upstream.small = Array.from({ length: packages }, (_, i) => `small-${i}`)
    upstream.url = `http://127.0.0.1:${port}/`
    for (const name of upstream.small) upstream.#change(name)
    await new Promise(resolve => createServer((request, response) => upstream.#answer(request, response)).listen(port, '127.0.0.1', resolve))
    return upstream
  }

  /** A package that nobody has asked for: its packument is 20 MB long, and so is its tarball. */
  publishLarge() {
    const name = `large-${this.#large.size}`
    const tarball = randomBytes(LARGE_BYTES)
    const document = { _id: name, name, 'dist-tags': { latest: '1.0.0' }, time: {}, versions: { '1.0.0': {
      name, version: '1.0.0',
      dist: { tarball: `${this.url}${name}/-/${name}-1.0.0.tgz`, integrity: `sha512-${createHash('sha512').update(tarball).digest('base64')}`, shasum: createHash('sha1').update(tarball).digest('hex') },
    } }, readme: '' }
    // Text of which gzip makes a tenth, like packuments.
    document.readme = Array.from({ length: 1024 }, () => randomBytes(1024).toString('hex')).join('').slice(0, 2_000_000).padEnd(LARGE_BYTES - 1000, 'npm packages ')
    const large = { name, tarball, packument: Buffer.from(JSON.stringify(document)) }
    this.#large.set(name, large)
    return large
  }

  /** Holds back the next answer about a package until it is opened. */
  hold(name, kind) {
    const gate = { kind, requests: 0, halfSentAt: 0 }
    gate.reached = new Promise(resolve => { gate.reach = resolve })
    gate.opened = new Promise(resolve => { gate.open = resolve })
    this.#gates.set(name, gate)
    return gate
  }

  async withoutGate(name, action) {
    this.#gates.delete(name)
    return await action()
  }

  /** So many packages a second change, each second's spread over ten moments. */
  async changeEverySecond(count, seconds) {
    for (let tick = 0; tick < seconds * 10; tick++) {
      for (let i = 0; i < count / 10; i++) this.#change(this.small[100 + (tick * count / 10 + i) % (SMALL - 100)])
      for (const wake of this.#followers) wake()
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }

  /** One package changes, and whoever waits for it hears so. */
  changeOne(name) {
    this.#change(name)
    for (const wake of this.#followers) wake()
  }

  #change(name) {
    const number = (this.#revisions.get(name)?.number ?? 0) + 1
    const rev = `${number}-${createHash('md5').update(`${name} ${number}`).digest('hex')}`
    this.#revisions.set(name, { number, rev })
    this.#log.push({ seq: this.#log.length + 1, id: name, changes: [{ rev }] })
  }

  #packument(name) {
    const { number, rev } = this.#revisions.get(name)
    const versions = {}
    for (let n = 0; n < number; n++) {
      versions[`1.0.${n}`] = { name, version: `1.0.${n}`, dist: { tarball: `${this.url}${name}/-/${name}-1.0.${n}.tgz`, shasum: createHash('sha1').update(name + n).digest('hex') } }
    }
    const size = 20_000 + createHash('md5').update(name).digest().readUInt16BE() % 30_000
    return Buffer.from(JSON.stringify({ _id: name, _rev: rev, name, 'dist-tags': { latest: `1.0.${number - 1}` }, versions, readme: `${name} ${number} `.repeat(Math.ceil(size / 12)).slice(0, size) }))
  }

  async #answer(request, response) {
    const url = new URL(request.url, this.url)
    const path = decodeURIComponent(url.pathname.slice(1))
    const json = value => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    if (path === '') return json({ db_name: 'registry', doc_count: this.small.length, update_seq: this.#log.length, uuid: 'crowd' })
    if (path === '_changes') return this.#changes(url.searchParams, json, response)
    if (path === '_all_docs') return this.#allDocs(url.searchParams, json)
    if (this.#revisions.has(path)) return response.writeHead(200, { 'content-type': 'application/json' }).end(this.#packument(path))
    const large = this.#large.get(path.split('/')[0])
    if (!large) return response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"Not found"}')
    const isTarball = path.endsWith('.tgz')
    const gate = this.#gates.get(large.name)
    return this.#sendSlowly(isTarball ? large.tarball : large.packument, gate?.kind === (isTarball ? 'tarball' : 'packument') ? gate : null, response)
  }

  async #sendSlowly(bytes, gate, response) {
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes.length })
    if (!gate) return response.end(bytes)
    gate.requests++
    gate.reach()
    await gate.opened
    await new Promise(resolve => setTimeout(resolve, PAUSE_MILLISECONDS))
    const begin = performance.now()
    for (let at = 0; at < bytes.length;) {
      const due = Math.min(bytes.length, Math.ceil((performance.now() - begin) / 1000 * BYTES_PER_SECOND / PIECE_BYTES) * PIECE_BYTES)
      if (due > at) response.write(bytes.subarray(at, due))
      if (at < bytes.length / 2 && due >= bytes.length / 2) gate.halfSentAt = now()
      at = Math.max(at, due)
      await new Promise(resolve => setTimeout(resolve, 2))
    }
    response.end()
  }

  async #changes(query, json, response) {
    const since = query.get('since') === 'now' ? this.#log.length : Number(query.get('since') ?? 0)
    const rows = () => this.#log.slice(since, since + Number(query.get('limit') ?? 10_000))
    if (query.get('feed') === 'longpoll' && rows().length === 0) {
      await new Promise(resolve => {
        const wake = () => { clearTimeout(timer); this.#followers.delete(wake); resolve() }
        const timer = setTimeout(wake, Number(query.get('timeout')) || 60_000)
        this.#followers.add(wake)
        response.on('close', wake)
      })
    }
    const results = rows()
    json({ results, last_seq: since + results.length })
  }

  #allDocs(query, json) {
    const names = [...this.small].sort()
    const start = JSON.parse(query.get('startkey') ?? query.get('start_key') ?? '""')
    const from = names.findIndex(name => name >= start)
    const skip = (from < 0 ? names.length : from) + Number(query.get('skip') ?? 0)
    const rows = names.slice(skip, skip + Number(query.get('limit') ?? names.length)).map(name => ({ id: name, key: name, value: { rev: this.#revisions.get(name).rev } }))
    json({ total_rows: names.length, offset: skip, rows })
  }
}
