// PouchDB as a client of the mirror: named documents, a selector, and a replication of named documents.
import { load, url, folder, name, seen, failed } from './followerSeen.mjs'

const PouchDB = load(name)
const remote = new PouchDB(url, { skip_setup: true })
const local = new PouchDB(`${folder}/${name}`)
const say = (what, value) => console.log(`${what} ${JSON.stringify(value)}`)

try {
  say('info', (await remote.info()).doc_count)
  say('keys', (await remote.allDocs({ keys: ['plain', 'none'], include_docs: true })).rows.map(row => row.doc?.name ?? row.error))
  say('range', (await remote.allDocs({ startkey: 'lines', skip: 1, conflicts: true })).rows.map(row => row.id))
  say('selector', (await remote.changes({ selector: { name: 'plain' }, since: 0 })).results.map(row => row.id))
  say('doc_ids', (await remote.changes({ doc_ids: ['lines', 'none'], since: 0 })).results.map(row => row.id))
  say('replicated', (await PouchDB.replicate(remote, local, { doc_ids: ['lines', 'plain'] })).docs_written)
  say('stubs', '_attachments' in await local.get('lines'))
  local.changes({ live: true, since: 'now', include_docs: true }).on('change', seen)
  PouchDB.replicate(remote, local, { live: true, retry: true, selector: { name: { $in: ['late', 'lines'] } } }).on('error', failed)
  console.log('@')
} catch (error) {
  failed(error)
}
