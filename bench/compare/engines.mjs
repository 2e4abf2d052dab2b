// The storage engines beside each other. Each round takes every engine in turn, beginning with another one, over a server and a folder of its own:
//
// ingest   every packument of the corpus into an empty store; then the program and the server are killed (SIGKILL) and the server starts again
// open     until the first package is read
// read     every package in a random order: to the JSON right after that start, again and again, and in its stored form
// list     the rows of all packages
// change   new editions of random packages, one after another and 64 at once
//
// Servers sync their disk before they answer: PostgreSQL as it comes, Redis with appendfsync always. Processor time is the program's and the server's together.
import { execFile, execFileSync } from 'node:child_process'
import { chownSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { figure, median } from './figures.mjs'
import { machine } from './report.mjs'
import { familyOf, freePort, revisionOf, runWithin, start } from './systems.mjs'

const { values: options } = parseArgs({
  options: {
    root: { type: 'string' },
    work: { type: 'string' },
    corpus: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    engines: { type: 'string', default: 'sqlite,postgres,postgres-off,redis-compact,redis' },
    minutes: { type: 'string', default: '40' },
  },
})
const program = join(options.root, 'artifacts/bin/NpmMirror.StoreBenchmarks/release/NpmMirror.StoreBenchmarks.dll')

// PostgreSQL does not run as an administrator.
const nobody = 65534
const asNobody = process.getuid() === 0 ? ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'] : []

const engines = {
  sqlite: { title: 'SQLite', open: folder => ({ store: [`sqlite:${folder}`] }) },
  postgres: { title: 'PostgreSQL', open: folder => openPostgres(folder, 'queries=on') },
  'postgres-off': { title: 'PostgreSQL, `queries=off`', open: folder => openPostgres(folder, 'queries=off') },
  'redis-compact': { title: 'Redis, `layout=compact`', open: folder => openRedis(folder, 'layout=compact') },
  redis: { title: 'Redis, classic', open: folder => openRedis(folder, 'layout=classic') },
}

await runWithin(options.minutes, main)

async function main() {
  const names = options.engines.split(',')
  const rounds = []
  console.log(`${new Date().toISOString()}; ${machine()}; ` +
    `revision ${revisionOf(options.root)}; ${options.rounds} rounds\n`)
  for (let round = 0; round < Number(options.rounds); round++) {
    const results = {}
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + round) % names.length]
      console.error(`round ${round + 1}, ${name}`)
      results[name] = await measure(engines[name], join(options.work, name))
    }
    rounds.push(results)
  }
  const [base] = names
  console.log(`| medians; in brackets the share of ${engines[base].title}'s in the same round | ${names.map(name => engines[name].title).join(' | ')} |\n|---|${names.map(() => '--:|').join('')}`)
  for (const row of Object.keys(rounds[0][base])) {
    const cells = names.map(name => {
      const value = figure(median(rounds.map(results => results[name][row])))
      const share = median(rounds.map(results => results[name][row] / results[base][row]))
      return name === base || !Number.isFinite(share) ? value : `${value} (${share.toFixed(2)})`
    })
    console.log(`| ${row} | ${cells.join(' | ')} |`)
  }
}

async function measure(engine, folder) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  if (asNobody.length > 0) chownSync(folder, nobody, nobody)
  const place = await engine.open(folder)
  await place.start?.()
  const empty = folderMegabytes(folder)
  const ingest = await run(place, 'ingest')
  await place.kill?.()
  const killed = performance.now()
  await place.start?.()
  await run(place, 'open')
  const recovery = performance.now() - killed
  const filled = folderMegabytes(folder)
  const read = await run(place, 'read')
  const list = await run(place, 'list')
  const change = await run(place, 'change')
  const changed = folderMegabytes(folder)
  const server = place.child ? residentMegabytes(place.child.pid) : 0
  await place.kill?.()
  const raw = ingest.raw / 1e6
  return {
    'ingest, MB of JSON a second': raw / ingest.seconds,
    'ingest, MB a processor second': raw / ingest.processor,
    'first reads to the JSON, packuments a second': read.cold,
    'further reads, to the JSON': read.hot,
    'further reads, as stored': read.stored,
    'list of everything, rows a second': list.rowsPerSecond,
    'changes a second, 64 at once': change.together,
    'changes a second, one by one': change.oneByOne,
    'processor milliseconds a change': change.processor / change.count * 1000,
    'on disk, MB': filled - empty,
    'more on disk after the changes, MB': changed - filled,
    'memory of the program at ingest, MB': ingest.peakMegabytes,
    'memory of the server at the end, MB': server,
    'from SIGKILL to the first package, start of server and program included, ms': recovery,
  }
}

/** Runs a part of the program; `processor` is the seconds of all that took part. */
async function run(place, part) {
  const before = place.child ? processorSeconds(place.child.pid) : 0
  let output
  try {
    output = await promisify(execFile)('dotnet', [program, part, options.corpus, ...place.store], { timeout: 600_000, maxBuffer: 1 << 20 })
  } catch (error) {
    // It kills itself at the end of ingest.
    if (part !== 'ingest' || error.signal !== 'SIGKILL') throw error
    output = error
  }
  const figures = JSON.parse(output.stdout)
  return { ...figures, processor: figures.processorSeconds + (place.child ? processorSeconds(place.child.pid) - before : 0) }
}

async function openPostgres(folder, setting) {
  const programs = join('/usr/lib/postgresql', readdirSync('/usr/lib/postgresql').sort((a, b) => b - a)[0], 'bin')
  const [data, password, port] = [join(folder, 'data'), join(folder, 'password'), await freePort()]
  writeFileSync(password, 'bench\n')
  const [maker, ...making] = [...asNobody, join(programs, 'initdb'), '-D', data, '-U', 'npm', '--pwfile', password, '-A', 'scram-sha-256', '-E', 'UTF8', '--locale=C.UTF-8']
  execFileSync(maker, making, { cwd: '/' })
  const command = [...asNobody, join(programs, 'postgres'), '-D', data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'shared_buffers=256MB']
  return server([`postgres://npm:bench@127.0.0.1:${port}/postgres?schema=bench`, setting], 'postgres', folder, command)
}

async function openRedis(folder, setting) {
  const port = await freePort()
  const command = ['redis-server', '--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory-policy', 'noeviction']
  return server([`redis://127.0.0.1:${port}/0?prefix=bench:`, setting], 'redis', folder, command)
}

/** A server that can be killed and started again; the program waits until it can be used. */
function server(store, name, folder, [command, ...args]) {
  return {
    store,
    async start() {
      this.child = await start(name, join(options.work, 'logs'), command, args)
    },
    async kill() {
      const gone = new Promise(resolve => this.child.once('exit', resolve))
      const family = familyOf(this.child.pid)
      for (const pid of family) try { process.kill(pid, 'SIGKILL') } catch (error) { if (error.code !== 'ESRCH') throw error }
      await gone
    },
  }
}

/** User and system time so far of a server, of its processes that live and of those that it has waited for. */
function processorSeconds(pid, tries = 10) {
  try {
    return sumOfSeconds(pid)
  } catch (error) {
    // One of its processes ended in between; its parent has its seconds then.
    if (tries === 0 || !['ENOENT', 'ESRCH'].includes(error.code)) throw error
    return processorSeconds(pid, tries - 1)
  }
}

function sumOfSeconds(pid) {
  return familyOf(pid).map(id => readFileSync(`/proc/${id}/stat`, 'utf8').replace(/.*\) /, '').split(' '))
    .map((fields, i) => [11, 12, ...(i === 0 ? [13, 14] : [])].reduce((sum, field) => sum + Number(fields[field]) / 100, 0)).reduce((a, b) => a + b)
}

/** Resident memory of a process and its children; what they share counts once. */
function residentMegabytes(pid) {
  return familyOf(pid).map(id => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${id}/smaps_rollup`, 'utf8'))[1]) / 1000).reduce((a, b) => a + b)
}

/** PostgreSQL's write-ahead log is not counted: its size is a setting. */
function folderMegabytes(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && !entry.parentPath.includes('pg_wal'))
    .map(entry => statSync(join(entry.parentPath, entry.name)).size).reduce((a, b) => a + b, 0) / 1e6
}
