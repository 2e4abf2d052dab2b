// Peak memory (VmHWM) of this mirror over three runs, each a process of its own, with the shipped settings:
//
// 1 sync    `sync --metadata all` of the corpus and the longest packument under ten names (51 MB each), then it exits
// 2 follow  `serve --metadata all` of the same with an empty store, then every packument in both forms, then the ten long ones at once
// 3 serve   `serve` of the store that is there, asked for the same
//
// Ends with 1 when a peak is not under the limit, or an answer is wrong.
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { get } from './http.mjs'
import { forms } from './expected.mjs'
import { answers, freePort, peakMegabytes, runWithin, start, startMirror, stop } from './systems.mjs'

const { values: options, positionals: mirrorOptions } = parseArgs({
  allowPositionals: true,
  options: {
    program: { type: 'string' },
    work: { type: 'string' },
    corpus: { type: 'string' },
    limit: { type: 'string', default: '500' },
    minutes: { type: 'string', default: '20' },
  },
})
const longest = readdirSync(options.corpus).filter(file => file.endsWith('.json')).toSorted((a, b) => statSync(join(options.corpus, b)).size - statSync(join(options.corpus, a)).size)[0]
const copied = decodeURIComponent(longest.slice(0, -'.json'.length))
const long = [copied, ...Array.from({ length: 9 }, (_, i) => `${copied}-copy-${i + 1}`)]
const peaks = {}

await runWithin(options.minutes, main)

async function main() {
  rmSync(options.work, { recursive: true, force: true })
  mkdirSync(options.work, { recursive: true })
  const port = await freePort()
  const upstream = `http://127.0.0.1:${port}/`
  const registry = await start('upstream', options.work, process.execPath, [join(import.meta.dirname, 'upstream.mjs'),
    '--corpus', options.corpus, '--port', String(port), '--copies', `${copied}=${long.length - 1}`])
  await answers(registry, upstream)
  const names = [...readdirSync(options.corpus).filter(file => file.endsWith('.json')).map(file => decodeURIComponent(file.slice(0, -5))), ...long.slice(1)]

  await measure('sync', async () => {
    const child = await mirror('sync', ['sync', '--data', join(options.work, 'synced')], upstream)
    await until(() => child.exited, () => peakOf('sync', child))
    if (child.code !== 0) throw new Error(`sync ended with ${child.code}; see ${options.work}/sync.log`)
  })
  for (const [run, folder] of [['follow', 'followed'], ['serve', 'synced']]) {
    await measure(run, async () => {
      const base = `http://127.0.0.1:${await freePort()}`
      const child = await mirror(run, ['serve', '--listen', base, '--data', join(options.work, folder)], upstream)
      await answers(child, `${base}/npm/-/ping`)
      await until(async () => JSON.parse((await get(`${base}/npm/`)).text).doc_count >= names.length, () => peakOf(run, child))
      console.log(`  ${run}: ${names.length} packages held, ${peaks[run].toFixed(0)} MB so far`)
      for (const form of Object.keys(forms)) await sweep(base, names, form, 16)
      peakOf(run, child)
      console.log(`  ${run}: every packument in both forms, ${peaks[run].toFixed(0)} MB so far`)
      for (const form of Object.keys(forms)) await sweep(base, long, form, long.length)
      peakOf(run, child)
      await stop(child)
    })
  }
  const over = Object.values(peaks).some(megabytes => megabytes >= Number(options.limit))
  console.log(over ? `NOT under ${options.limit} MB` : `under ${options.limit} MB`)
  return over ? 1 : 0
}

function mirror(name, args, upstream) {
  return startMirror(name, options.work, options.program, [...args, '--upstream', upstream, '--metadata', 'all', ...mirrorOptions])
}

async function measure(name, run) {
  const begin = Date.now()
  await run()
  console.log(`${name}: VmHWM ${peaks[name].toFixed(0)} MB, ${((Date.now() - begin) / 1000).toFixed(0)} s`)
}

function peakOf(name, child) {
  // The process may end between a look and the next.
  try { peaks[name] = Math.max(peaks[name] ?? 0, peakMegabytes(child.pid)) } catch (error) { if (error.code !== 'ENOENT' && error.code !== 'ESRCH') throw error }
}

async function until(isDone, look) {
  while (!await isDone()) {
    look()
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  look()
}

/** Asks for every packument, some at once; each must be whole and the one asked for. */
async function sweep(base, names, form, parallel) {
  const waiting = [...names]
  await Promise.all(Array.from({ length: parallel }, async () => {
    for (let name = waiting.pop(); name; name = waiting.pop()) {
      const answer = await get(`${base}/npm/${name.replace('/', '%2f')}`, { accept: forms[form].accept, 'accept-encoding': 'gzip' }, { isDecoded: !name.startsWith(copied) })
      if (answer.status !== 200) throw new Error(`${form} ${name}: ${answer.status}`)
      if (answer.text !== null && JSON.parse(answer.text).name !== name) throw new Error(`${form} ${name} is named ${JSON.parse(answer.text).name}`)
    }
  }))
}
