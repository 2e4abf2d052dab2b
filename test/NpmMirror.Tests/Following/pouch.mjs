// A real PouchDB that replicates from a database and goes on following it: node pouch.mjs <pouchdb's main file> <url> <folder>
// Prints a line whenever a document changed here: its id, its winning revision (or "deleted") and how many conflicts it has; "@" when it had caught up.
import { createRequire } from 'node:module'

const [main, url, folder] = process.argv.slice(2)
const PouchDB = createRequire(import.meta.url)(main)
const local = new PouchDB(folder)

local.changes({ live: true, since: 'now', include_docs: true, conflicts: true })
  .on('change', ({ id, deleted, doc }) => console.log(`${id} ${deleted ? 'deleted' : doc._rev} ${doc._conflicts?.length ?? 0} ${Object.keys(doc.versions ?? {}).join(',')}`))

await local.replicate.from(url)
console.log('@')
local.replicate.from(url, { live: true, retry: true })
  .on('error', error => { console.log(`! ${error.message}`) })
