// Loads every module of a folder and links it to what it imports, without running any: node --experimental-vm-modules link.mjs FOLDER
// An import of a file that is not there, or of a name that it does not export, is an error.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { SourceTextModule, SyntheticModule } from 'node:vm'

const modules = new Map()

async function load(specifier, from) {
  const file = specifier.startsWith('.') ? resolve(dirname(from), specifier) : specifier
  if (!modules.has(file)) modules.set(file, specifier.startsWith('.') ? new SourceTextModule(readFileSync(file, 'utf8'), { identifier: file }) : await builtIn(specifier))
  return modules.get(file)
}

async function builtIn(specifier) {
  const names = Object.keys(await import(specifier))
  return new SyntheticModule(names, () => {}, { identifier: specifier })
}

const folder = resolve(process.argv[2])
const files = readdirSync(folder).filter(file => file.endsWith('.mjs'))
for (const file of files) {
  const module = await load(`./${file}`, join(folder, 'any'))
  if (module.status === 'unlinked') await module.link((specifier, referencing) => load(specifier, referencing.identifier))
}
console.log(`${files.length} linked`)
