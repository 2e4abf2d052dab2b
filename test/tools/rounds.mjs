// What the benchmarks hold against an answer after each round (bench/compare/checks.mjs), against a server whose answer changes:
// node rounds.mjs FOLDER-OF-THE-CHECKS. Prints one line a case.
import { createServer } from 'node:http'
import { join, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'

const { changeSince, checkAlike, checkVolume, sampleOf } = await import(join(resolve(process.argv[2]), 'checks.mjs'))
const text = 'the same words again and again '.repeat(500)
let answer = {}
const server = createServer((request, response) => response.writeHead(200, answer.headers).end(answer.body))
await new Promise(done => server.listen(0, '127.0.0.1', done))
const url = `http://127.0.0.1:${server.address().port}/`

const of = (words, level, more) => ({ body: gzipSync(words, { level }), headers: { 'content-type': 'application/json', 'content-encoding': 'gzip', etag: '"1"', ...more } })
const tell = async (name, check) => console.log(`${name}: ${await check().then(said => said === null ? 'counts' : `void, ${said}`, error => `error, ${error.message}`)}`)

answer = of(text, 1)
const sample = await sampleOf(url, {})
await tell('the same', () => changeSince('mirror', sample))
answer = of(text, 9)
await tell('other compression', () => changeSince('mirror', sample))
const smaller = await sampleOf(url, {})
answer = of(text, 1, { etag: '"2"' })
await tell('other ETag', () => changeSince('mirror', sample))
answer = of(text, 1, { 'content-type': 'text/plain' })
await tell('other type', () => changeSince('mirror', sample))
answer = of(`${text}.`, 1)
await tell('other text', () => changeSince('mirror', sample))
await tell('alike', async () => { checkAlike({ mirror: sample, bare: sample }); return null })
await tell('unlike', async () => { checkAlike({ mirror: smaller, bare: sample }); return null })
await tell('right volume', async () => { checkVolume('mirror', { requests: 1000, errors: 0, bytes: 1000 * sample.wireBytes }, 16, sample); return null })
await tell('half the volume', async () => { checkVolume('mirror', { requests: 1000, errors: 0, bytes: 500 * sample.wireBytes }, 16, { ...sample, wireBytes: 52_000 }); return null })
server.close()
