// One request on a connection of its own, with what a benchmark wants to know of the answer.
import { request } from 'node:http'
import { promisify } from 'node:util'
import zlib from 'node:zlib'

const gunzip = promisify(zlib.gunzip)

/** `wireBytes` counts head and body as they came over the connection. */
export function get(url, headers = {}, { timeoutMilliseconds = 120_000, isDecoded = true } = {}) {
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent: false, headers }, response => {
      const chunks = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', async () => {
        const wireBytes = response.socket.bytesRead
        const raw = Buffer.concat(chunks)
        const encoding = response.headers['content-encoding'] ?? 'identity'
        try {
          const text = !isDecoded ? null : encoding === 'gzip' ? (await gunzip(raw)).toString() : raw.toString()
          resolve({ status: response.statusCode, headers: response.headers, encoding, raw, text, wireBytes })
        } catch (error) {
          reject(new Error(`${url}: ${error.message}`))
        }
      })
    })
    sent.setTimeout(timeoutMilliseconds, () => sent.destroy(new Error(`${url}: no answer in ${timeoutMilliseconds} ms`)))
    sent.on('error', reject)
    sent.end()
  })
}
