// nano: what it reads at once, then its three ways to read changes, which send a body each.
import { load, url, seen, failed } from './followerSeen.mjs'

const at = new URL(url)
const database = load('nano')(at.origin).use(at.pathname.slice(1))
const say = (what, value) => console.log(`${what} ${JSON.stringify(value)}`)
const ids = list => list.rows.map(row => row.id ?? `${row.key}!`)

try {
  say('info', (await database.info()).doc_count)
  say('get', (await database.get('@scope/näme')).name)
  say('list', ids(await database.list({ limit: 2, startkey: 'lines', update_seq: true })))
  say('fetch', ids(await database.fetch({ keys: ['plain', 'none'] })))
  say('revs', ids(await database.fetchRevs({ keys: ['plain'] })))
  const error = await database.get('gone').catch(reason => reason)
  say('missing', [error.statusCode, error.reason === error.error && error.reason.length > 0])
  await new Promise((resolve, reject) => database.changesReader.get({ since: 0, batchSize: 2, timeout: 500, selector: { name: { $exists: true } } })
    .on('change', change => say('selected', change.id)).on('end', resolve).on('error', reject))
  await new Promise((resolve, reject) => database.changesReader.spool({ since: 0, includeDocs: true })
    .on('batch', batch => batch.forEach(seen)).on('end', resolve).on('error', reject))
  database.changesReader.start({ since: 'now', includeDocs: true }).on('change', seen).on('error', failed)
  console.log('@')
} catch (error) {
  failed(error)
}
