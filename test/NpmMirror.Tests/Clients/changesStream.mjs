// changes-stream: the whole feed and what changes; and, with a filter, named documents only, for which it sends a body.
import { load, url, seen, failed } from './followerSeen.mjs'

const ChangesStream = load('changes-stream')
new ChangesStream({ db: url, since: 0, include_docs: true, heartbeat: 5000 }).on('data', seen).on('error', failed)
new ChangesStream({ db: url, since: 0, heartbeat: 5000, filter: ['plain', 'none'] }).on('data', change => console.log(`filtered ${change.id}`)).on('error', failed)
