// follow and cloudant-follow: the whole feed, then what changes.
import { load, url, name, seen, failed } from './followerSeen.mjs'

const { Feed } = load(name)
for (const feed of ['continuous', 'longpoll']) {
  const following = new Feed({ db: url, since: 0, include_docs: true, heartbeat: 5000, feed })
  following.on('change', change => { console.log(feed); seen(change) })
  following.on('error', failed)
  following.follow()
}
