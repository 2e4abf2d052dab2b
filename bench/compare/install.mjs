// Installs a project of about 700 packages with npm and pnpm, each time from a cold client cache: through this mirror, pnpr and Verdaccio,
// all warm, and from the registry that npm is configured for. Alternated; the median of the runs counts.
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { figure, median, sorted } from './figures.mjs'
import { cpuMicroseconds, runWithin, systems } from './systems.mjs'

const { values: options } = parseArgs({
  options: {
    root: { type: 'string' }, program: { type: 'string' }, tools: { type: 'string' }, work: { type: 'string' },
    rounds: { type: 'string', default: '5' }, clients: { type: 'string', default: 'npm,pnpm' }, minutes: { type: 'string', default: '60' },
  },
})
const dependencies = {
  '@babel/preset-env': '7.26.0', 'css-loader': '7.1.2', eslint: '8.57.1', 'eslint-plugin-import': '2.31.0', express: '4.21.2', jest: '29.7.0',
  'mini-css-extract-plugin': '2.9.2', mocha: '10.8.2', 'ts-node': '10.9.2', typescript: '5.7.2', webpack: '5.97.1', 'webpack-cli': '5.1.4', 'webpack-dev-server': '5.1.0',
}
const registry = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim()
const commands = {
  npm: cache => ['npm', 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel', 'error', '--cache', cache],
  pnpm: cache => [process.execPath, join(options.tools, 'node_modules/pnpm/bin/pnpm.cjs'), 'install', '--ignore-scripts', '--reporter', 'silent',
    '--store-dir', join(cache, 'store'), `--config.cache-dir=${join(cache, 'cache')}`, `--config.state-dir=${join(cache, 'state')}`],
}

await runWithin(options.minutes, main, error => console.error(`THE RUN IS VOID: ${error.stack}`))

async function main() {
  rmSync(options.work, { recursive: true, force: true })
  mkdirSync(options.work, { recursive: true })
  const places = { upstream: { address: registry } }
  for (const name of ['mirror', 'pnpr', 'verdaccio']) {
    const started = await systems[name]({ root: options.root, program: options.program, tools: options.tools, work: options.work, upstream: registry, prepared: [], options: [] })
    places[name] = { address: started.url('', 'full'), child: started.child, version: started.version }
  }
  console.log(`# ${new Date().toISOString()}\n`)
  for (const client of options.clients.split(',')) {
    const times = {}
    const cpu = []
    // The first run of each fills the proxies and does not count.
    for (let round = 0; round <= Number(options.rounds); round++) {
      for (const place of rotated(Object.keys(places), round)) {
        const before = places[place].child ? cpuMicroseconds(places[place].child.pid) : 0
        const { seconds, packages } = await install(client, places[place].address, place)
        console.error(`${client} ${place} ${round}: ${seconds.toFixed(1)} s, ${packages} packages`)
        if (round === 0) continue
        ;(times[place] ??= []).push(seconds)
        if (place === 'mirror') cpu.push((cpuMicroseconds(places[place].child.pid) - before) / 1e6)
      }
    }
    print(client, times, cpu)
  }
}

function print(client, times, cpu) {
  const best = Math.min(...Object.entries(times).filter(([place]) => place !== 'mirror').map(([, seconds]) => median(seconds)))
  console.log(`\n## ${client}, cold cache, median of ${options.rounds} alternated runs\n\n| from | s (spread) |\n|---|--:|`)
  for (const [place, seconds] of Object.entries(times)) console.log(`| ${place} | ${figure(median(seconds))} (${figure(sorted(seconds)[0])}–${figure(sorted(seconds).at(-1))}) |`)
  console.log(`\nmirror ÷ the best of the others: ${figure(median(times.mirror) / best)}; the mirror's processor seconds an install: ${figure(median(cpu))}`)
}

function rotated(list, by) {
  return list.map((_, i) => list[(i + by) % list.length])
}

/** One install in a new folder with new caches; the folder is removed. */
async function install(client, address, place) {
  const folder = join(options.work, `project-${client}-${place}`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'project', version: '1.0.0', private: true, dependencies }))
  writeFileSync(join(folder, '.npmrc'), `registry=${address}\n`)
  const [command, ...args] = commands[client](join(folder, 'cache'))
  const begin = performance.now()
  await run(command, args, folder, address)
  const seconds = (performance.now() - begin) / 1000
  const packages = countPackages(join(folder, 'node_modules'), client)
  rmSync(folder, { recursive: true, force: true })
  return { seconds, packages }
}

function countPackages(folder, client) {
  return client === 'pnpm'
    ? readdirSync(join(folder, '.pnpm')).filter(name => name.includes('@')).length
    : readdirSync(folder).flatMap(name => name.startsWith('@') ? readdirSync(join(folder, name)) : name.startsWith('.') ? [] : [name]).length
}

function run(command, args, folder, address) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, npm_config_registry: address, CI: '1' } })
    const timer = setTimeout(() => child.kill('SIGKILL'), 300_000)
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', data => { output = (output + data).slice(-4000) })
    child.on('error', reject)
    child.on('close', code => { clearTimeout(timer); code === 0 ? resolve() : reject(new Error(`${command} ${args.join(' ')} ended with ${code}: ${output}`)) })
  })
}
