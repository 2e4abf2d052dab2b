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
  return { url, headers, seconds, status, wireBytes, raw: digest(raw), text: digest((await get(url, headers)).text) }
}

/** The same bytes, or at least the same text when another compression made them. */
export async function checkSample(system, sample) {
  const answer = await get(sample.url, sample.headers, { isDecoded: false })
  if (answer.status === sample.status && digest(answer.raw) === sample.raw) return
  const decoded = await get(sample.url, sample.headers)
  if (!isDeepStrictEqual([decoded.status, digest(decoded.text)], [sample.status, sample.text])) {
    throw new Error(`${system}: ${sample.url} has another answer than before: ${decoded.status}`)
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
