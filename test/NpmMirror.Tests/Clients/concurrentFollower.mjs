// concurrent-couch-follower: the whole feed and what changes, several documents at a time; where it has come to is kept in a file.
import { load, url, folder, seen, failed } from './followerSeen.mjs'

load('concurrent-couch-follower')((change, done) => { seen(change); done() }, { db: url, include_docs: true, sequence: `${folder}/sequence`, concurrency: 5, heartbeat: 5000 })
  .on('error', failed)
