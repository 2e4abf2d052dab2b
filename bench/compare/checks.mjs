// Whether a system answers rightly: before it is loaded, by many at once, and after each round.
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { difference, forms } from './expected.mjs'
import { get } from './http.mjs'
import { bytesOf } from './tarballs.mjs'

const digest = bytes => createHash('sha256').update(bytes).digest('hex')

/** Checks one answer against the upstream's document. */
export function checkAnswer(system, degree, name, form, upstreamText, answer) {
  const fail = why => { throw new Error(`${system}: ${form} ${name}: ${why}`) }
  if (answer.status !== 200) fail(`status ${answer.status}: ${answer.text.slice(0, 200)}`)
  // Nobody needs to compress what fits a packet.
  if (answer.encoding !== 'gzip' && answer.raw.length > 1500) fail(`content-encoding is ${answer.encoding}`)
  const type = answer.headers['content-type'] ?? ''
  if (type.split(';')[0] !== forms[form].type) fail(`content-type is ${type}`)
  const found = difference(degree, form, upstreamText, answer.text)
  if (found) fail(found)
}

/** A tarball must be there to the byte, and carry no coding. */
export function checkTarball(system, name, answer) {
  if (answer.status !== 200 || answer.encoding !== 'identity' || !answer.raw.equals(bytesOf(name))) {
    throw new Error(`${system}: ${name}: status ${answer.status}, coding ${answer.encoding}, ${answer.raw.length} bytes that are not the upstream's`)
  }
}

/** The headers that the systems with the same bytes must have in common. */
const common = ['content-type', 'content-encoding', 'etag']

/** An answer that was found right, and how long it takes at best: what later ones are held against. */
export async function sampleOf(url, headers) {
  let seconds = Infinity
  let answer
  for (let i = 0; i < 3; i++) {
    const begin = performance.now()
    answer = await get(url, headers, { isDecoded: false })
    seconds = Math.min(seconds, (performance.now() - begin) / 1000)
  }
  const { status, wireBytes, raw } = answer
  return { url, headers, seconds, status, wireBytes, body: raw.length, shown: shownOf(answer), text: digest((await get(url, headers)).text) }
}

/** An answer as one line: status, length and hash of the bytes, and the headers that count. */
const shownOf = ({ status, raw, headers }) => `${status}, ${raw.length} bytes ${digest(raw).slice(0, 12)}` +
  (status === 304 ? [`, etag: ${headers.etag}`] : common.map(name => `, ${name}: ${headers[name] ?? 'none'}`)).join('')

/** Null if the answer is the sample's to the byte, else both of them in a sentence. Another text is an error: that is no matter of compression. */
export async function changeSince(system, sample) {
  const answer = await get(sample.url, sample.headers, { isDecoded: false })
  if (shownOf(answer) === sample.shown) return null
  const decoded = await get(sample.url, sample.headers)
  if (!isDeepStrictEqual([decoded.status, digest(decoded.text)], [sample.status, sample.text])) {
    throw new Error(`${system}: ${sample.url} has another answer than before: ${decoded.status}`)
  }
  return `${system} answered ${shownOf(answer)}, and before ${sample.shown}`
}

/** The mirror and its controls must answer alike to the byte before they are compared at all. */
export function checkAlike(samples) {
  const [[first, sample], ...others] = Object.entries(samples)
  for (const [system, other] of others) {
    if (other.shown !== sample.shown) throw new Error(`${system} and ${first} have different answers: ${other.shown}; ${sample.shown}`)
  }
}

/** What wrk counted: no failure, and the volume that so many right answers have (wrk does not look at bodies). */
export function checkVolume(system, { requests, errors, bytes }, connections, sample) {
  if (errors > 0) throw new Error(`${system}: ${errors} failed requests or answers that were not 2xx or 304`)
  if (!sample) return
  // Some answers were cut by the end of the round; a system may send another header or two to wrk.
  const least = requests * (sample.wireBytes * 0.98 - 100)
  const most = (requests + connections) * (sample.wireBytes * 1.02 + 100)
  if (bytes < least || bytes > most) throw new Error(`${system}: ${bytes} bytes in ${requests} answers of ${sample.wireBytes}`)
}
