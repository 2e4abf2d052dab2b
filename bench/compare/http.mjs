// One request on a connection of its own, with what a benchmark wants to know of the answer.
import { request } from 'node:http'
import { promisify } from 'node:util'
import zlib from 'node:zlib'

const gunzip = promisify(zlib.gunzip)

/** `wireBytes` counts head and body as they came over the connection. */
export function get(url, headers = {}, { timeoutMilliseconds = 120_000, isDecoded = true, agent = false } = {}) {
  return new Promise((resolve, reject) => {
    const fail = error => reject(new Error(`${url}: ${error.message}`, { cause: error }))
    const sent = request(url, { agent, headers }, response => {
      // A connection that goes back to its pool is no longer the answer's when that ends.
      const { socket } = response
      const chunks = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('error', fail)
      response.on('end', async () => {
        const wireBytes = socket.bytesRead
        const raw = Buffer.concat(chunks)
        const encoding = response.headers['content-encoding'] ?? 'identity'
        try {
          const text = !isDecoded ? null : encoding === 'gzip' ? (await gunzip(raw)).toString() : raw.toString()
          resolve({ status: response.statusCode, headers: response.headers, encoding, raw, text, wireBytes })
        } catch (error) {
          fail(error)
        }
      })
    })
    sent.setTimeout(timeoutMilliseconds, () => sent.destroy(new Error(`no answer in ${timeoutMilliseconds} ms`)))
    sent.on('error', fail)
    sent.end()
  })
}
