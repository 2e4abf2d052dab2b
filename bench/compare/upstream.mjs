// A local upstream: a folder of packuments, served as a registry would, with CouchDB's feed beside it.
//
//   node upstream.mjs --corpus DIR --port 5000 [--copies drizzle-orm=9] [--prepared]
//
// A file is one packument, named encodeURIComponent(name).json. Its tarball URLs are pointed at this upstream and it is given a `_rev`.
// `--copies` serves one packument under more names (drizzle-orm-copy-1 …), to have several that are as long.
// `--prepared` compresses every packument before the first request, so that what is measured beside it does not share the processors with zlib.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { bytesOf, fileOf, packumentOf, sizes } from './tarballs.mjs'

const options = parseArgs({
  options: {
    corpus: { type: 'string' },
    port: { type: 'string' },
    copies: { type: 'string', default: '' },
    prepared: { type: 'boolean', default: false },
  },
}).values
const base = `http://127.0.0.1:${options.port}/`
const compress = promisify(gzip)

/** Package name → the file it is served from, and the name it has in there. */
const packages = new Map()
for (const file of readdirSync(options.corpus).filter(file => file.endsWith('.json')).sort()) {
  const name = decodeURIComponent(file.slice(0, -'.json'.length))
  packages.set(name, { file: join(options.corpus, file), name })
}
const [copied, copies] = options.copies.split('=')
for (let copy = 1; copy <= Number(copies ?? 0); copy++) packages.set(`${copied}-copy-${copy}`, packages.get(copied))

const names = [...packages.keys()]
const revision = name => `1-${createHash('md5').update(name).digest('hex')}`

function document(name) {
  const source = packages.get(name)
  let text = readFileSync(source.file, 'utf8').replaceAll(/https?:\/\/registry\.example\.org\//g, base)
  if (source.name !== name) text = text.replaceAll(JSON.stringify(source.name), JSON.stringify(name))
  return Buffer.from(text.replace('{', `{"_rev": "${revision(name)}", `))
}

/** Package name → its gzip body; empty unless asked for. */
const prepared = new Map()
if (options.prepared) for (const name of names) prepared.set(name, await compress(document(name)))

async function packument(name, request, response) {
  const etag = `"${revision(name)}"`
  if (request.headers['if-none-match'] === etag) return response.writeHead(304, { etag }).end()
  const headers = { 'content-type': 'application/json', etag, vary: 'accept-encoding', 'cache-control': 'public, max-age=300' }
  const isCompressed = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '')
  if (isCompressed) headers['content-encoding'] = 'gzip'
  const body = isCompressed ? prepared.get(name) ?? await compress(document(name), { level: 1 }) : document(name)
  response.writeHead(200, { ...headers, 'content-length': body.length }).end(request.method === 'HEAD' ? undefined : body)
}

/** Sequence n is the n-th name: nothing ever changes here. */
function changes(query, response) {
  const since = query.get('since') === 'now' ? names.length : Number(query.get('since') ?? 0)
  const limit = Number(query.get('limit') ?? names.length)
  const rows = names.slice(since, since + limit).map((name, i) =>
    ({ seq: since + i + 1, id: name, changes: [{ rev: revision(name) }] }))
  response.writeHead(200, { 'content-type': 'application/json' })
  const feed = query.get('feed') ?? 'normal'
  if (feed === 'normal' || (feed === 'longpoll' && rows.length > 0)) {
    return response.end(JSON.stringify({ results: rows, last_seq: since + rows.length }))
  }
  if (feed === 'continuous') for (const row of rows) response.write(JSON.stringify(row) + '\n')
  const heart = setInterval(() => response.write('\n'), Math.max(1000, Number(query.get('heartbeat')) || 30_000))
  const end = setTimeout(() => response.end(feed === 'longpoll' ? JSON.stringify({ results: [], last_seq: since }) : ''),
    Number(query.get('timeout')) || 60_000)
  response.on('close', () => { clearInterval(heart); clearTimeout(end) })
}

function allDocuments(query, response) {
  const start = JSON.parse(query.get('startkey') ?? query.get('start_key') ?? '""')
  const from = names.findIndex(name => name >= start)
  const skip = (from < 0 ? names.length : from) + Number(query.get('skip') ?? 0)
  const rows = names.slice(skip, skip + Number(query.get('limit') ?? names.length))
    .map(name => ({ id: name, key: name, value: { rev: revision(name) } }))
  response.writeHead(200, { 'content-type': 'application/json' })
    .end(JSON.stringify({ total_rows: names.length, offset: skip, rows }))
}

const server = createServer((request, response) => {
  const url = new URL(request.url, base)
  const path = decodeURIComponent(url.pathname.slice(1))
  if (path === '') {
    return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(
      { db_name: 'registry', doc_count: names.length, update_seq: names.length, instance_start_time: '0', uuid: 'benchmark' }))
  }
  if (path === '_changes') return changes(url.searchParams, response)
  if (path === '_all_docs') return allDocuments(url.searchParams, response)
  if (packages.has(path)) return void packument(path, request, response).catch(error => response.destroy(error))
  if (sizes[path]) return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(packumentOf(path, base)))
  const tarball = Object.keys(sizes).find(name => path === `${name}/-/${fileOf(name)}`)
  if (tarball) return response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': sizes[tarball] }).end(bytesOf(tarball))
  response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"Not found"}')
})
names.sort((a, b) => a < b ? -1 : a > b ? 1 : 0)
server.listen(Number(options.port), '127.0.0.1', () => console.log(`${names.length} packages at ${base}`))
