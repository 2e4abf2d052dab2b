// Made-up packuments of realistic shapes and sizes, the same for the same seed: for benchmarks where no real ones are at hand.
//
//   node made-up.mjs --folder DIR [--packages 300] [--seed 1]
//
// Most are small (2 to 100 KB), some large, one of 5 MB: like a registry's. Beside them are `medium` (about 500 KB) and `large` (about 3 MB),
// whose versions are as many as those of the packages that everybody installs. What does not compress in real ones does not compress here:
// integrities, shasums, signatures, commit hashes.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const FORMAT = 1

/** Random numbers that are the same everywhere (mulberry32). */
class Chance {
  #state
  constructor(seed) { this.#state = seed >>> 0 }
  next() {
    this.#state = this.#state + 0x6d2b79f5 >>> 0
    let t = this.#state
    t = Math.imul(t ^ t >>> 15, t | 1)
    t ^= t + Math.imul(t ^ t >>> 7, t | 61)
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32
  }
  below(most) { return Math.floor(this.next() * most) }
  of(list) { return list[this.below(list.length)] }
  bytes(count) {
    const bytes = Buffer.alloc(count)
    for (let i = 0; i < count; i++) bytes[i] = this.below(256)
    return bytes
  }
}

const syllables = ['ba', 'co', 'di', 'fu', 'ga', 'he', 'ji', 'ko', 'lu', 'me', 'ni', 'po', 'qua', 're', 'si', 'to', 'ur', 'vex', 'wi', 'zo']
const words = 'a the of to and for with from parse stream file module build test value object array function return node async fast small simple library option config default request response server client cache hash string buffer path tree plugin loader type'.split(' ')

const wordOf = chance => Array.from({ length: 2 + chance.below(3) }, () => chance.of(syllables)).join('')
const textOf = (chance, length) => {
  let text = ''
  while (text.length < length) text += (chance.next() < 0.2 ? wordOf(chance) : chance.of(words)) + (chance.next() < 0.08 ? '.\n' : ' ')
  return text.slice(0, length)
}
const rangesOf = (chance, names, count) => Object.fromEntries(Array.from({ length: count }, () => [chance.of(names), `^${chance.below(9)}.${chance.below(20)}.${chance.below(30)}`]))

/** The same dependencies, one of them newer. */
const moved = (chance, dependencies) => {
  const name = chance.of(Object.keys(dependencies))
  return name ? { ...dependencies, [name]: `^${chance.below(9)}.${chance.below(20)}.${chance.below(30)}` } : dependencies
}

/** A packument of so many versions. A version is like the one before, as those of one package are. */
function packument(chance, name, names, count) {
  const author = { name: `${wordOf(chance)} ${wordOf(chance)}`, email: `${wordOf(chance)}@example.org` }
  const maintainers = Array.from({ length: 1 + chance.below(4) }, () => ({ name: wordOf(chance), email: `${wordOf(chance)}@example.org` }))
  const repository = { type: 'git', url: `git+https://git.example.org/${wordOf(chance)}/${name.split('/').at(-1)}.git` }
  const description = textOf(chance, 40 + chance.below(80)).replaceAll('\n', ' ')
  const keywords = Array.from({ length: chance.below(8) }, () => wordOf(chance))
  const scripts = { test: 'node --test', build: `tsc -p ${wordOf(chance)}`, lint: 'eslint .', prepublishOnly: 'npm run build' }
  let dependencies = rangesOf(chance, names, chance.below(12))
  let devDependencies = rangesOf(chance, names, 3 + chance.below(15))
  const versions = {}
  const time = { created: '', modified: '' }
  let moment = Date.UTC(2014, 0, 1) + chance.below(1000) * 86_400_000
  let [major, minor, patch] = [0, 1, 0]
  for (let i = 0; i < count; i++) {
    if (chance.next() < 0.04) [major, minor, patch] = [major + 1, 0, 0]
    else if (chance.next() < 0.25) [minor, patch] = [minor + 1, 0]
    else patch++
    const version = `${major}.${minor}.${patch}`
    if (chance.next() < 0.2) dependencies = moved(chance, dependencies)
    if (chance.next() < 0.4) devDependencies = moved(chance, devDependencies)
    moment += (1 + chance.below(40)) * 3_600_000
    time[version] = new Date(moment).toISOString()
    versions[version] = {
      name, version, description, keywords, main: 'index.js', types: 'index.d.ts', scripts, author, license: 'MIT', repository,
      bugs: { url: `${repository.url.slice(4, -4)}/issues` }, homepage: `${repository.url.slice(4, -4)}#readme`,
      engines: { node: `>=${6 + major % 16}` }, dependencies, devDependencies,
      ...(chance.next() < 0.1 && { peerDependencies: rangesOf(chance, names, 2) }), ...(chance.next() < 0.3 && { bin: { [name.split('/').at(-1)]: 'bin/cli.js' } }),
      gitHead: chance.bytes(20).toString('hex'), _id: `${name}@${version}`, _nodeVersion: `${8 + major % 16}.${chance.below(20)}.0`, _npmVersion: `${6 + major % 5}.${chance.below(20)}.${chance.below(10)}`,
      dist: {
        integrity: `sha512-${chance.bytes(64).toString('base64')}`, shasum: chance.bytes(20).toString('hex'),
        tarball: `https://registry.example.org/${name}/-/${name.split('/').at(-1)}-${version}.tgz`,
        fileCount: 5 + chance.below(60), unpackedSize: 2_000 + chance.below(900_000),
        signatures: [{ keyid: 'SHA256:jl3bwswu80PjjokCgh0o2w5c2U4LhQAE57gj9cz1kzA', sig: chance.bytes(71).toString('base64') }],
      },
      _npmUser: maintainers[0], directories: {}, maintainers,
      _npmOperationalInternal: { host: 's3://npm-registry-packages', tmp: `tmp/${name.split('/').at(-1)}_${version}_${moment}_0.${chance.below(1e9)}` }, _hasShrinkwrap: false,
    }
  }
  const latest = Object.keys(versions).at(-1)
  Object.assign(time, { created: time[Object.keys(versions)[0]], modified: time[latest] })
  return {
    _id: name, name, description, 'dist-tags': { latest, ...(count > 20 && { next: latest }) }, versions, time, maintainers, author, license: 'MIT',
    keywords, repository, bugs: versions[latest].bugs, homepage: versions[latest].homepage, readme: `# ${name}\n\n${textOf(chance, 500 + chance.below(9_000))}`, readmeFilename: 'README.md', users: {},
  }
}

/** Writes the folder unless the same is there already; returns the names. */
export function writeMadeUp(folder, { packages, seed }) {
  const mark = `${folder}.json`
  const wanted = JSON.stringify({ FORMAT, packages, seed })
  const chance = new Chance(seed)
  const names = Array.from({ length: packages }, (_, i) => i % 4 === 0 ? `@${wordOf(chance)}/${wordOf(chance)}-${i}` : `${wordOf(chance)}-${i}`)
  const all = ['medium', 'large', 'longest', ...names]
  if (readMark(mark) === wanted) return all
  rmSync(mark, { force: true })
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(`${folder}.part`, { recursive: true })
  all.forEach((name, i) => {
    // Half of all packages have a few versions, and one in fifty has hundreds.
    const count = [220, 1200, 2200][i] ?? Math.min(600, Math.ceil(2 ** (chance.next() ** 2 * 9.2)))
    writeFileSync(join(`${folder}.part`, `${encodeURIComponent(name)}.json`), JSON.stringify(packument(chance, name, names, count)))
  })
  renameSync(`${folder}.part`, folder)
  writeFileSync(mark, wanted)
  return all
}

function readMark(file) {
  try { return readFileSync(file, 'utf8') } catch { return null }
}

if (import.meta.filename === process.argv[1]) {
  const { values: options } = parseArgs({ options: { folder: { type: 'string' }, packages: { type: 'string', default: '300' }, seed: { type: 'string', default: '1' } } })
  writeMadeUp(options.folder, { packages: Number(options.packages), seed: Number(options.seed) })
}
