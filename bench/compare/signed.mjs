// A copy of a folder of packuments in which every version has a signature of 71 bytes, as npm's registry adds one and the corpus has none.
// The same for the same folder: the bytes are hashes of name, version and a counter, which nothing compresses.
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const signatureBytes = 71

/** Writes the copy; returns how many versions were signed: none of a packument that has signatures. */
export function writeSigned(corpus, folder) {
  mkdirSync(folder, { recursive: true })
  let signed = 0
  for (const file of readdirSync(corpus).filter(file => file.endsWith('.json'))) {
    let count = 0
    const unsigned = readFileSync(join(corpus, file), 'utf8')
    const text = unsigned.includes('"signatures"') ? unsigned : unsigned.replaceAll(/"dist": ?\{/g, start => `${start}"signatures": [{"sig": "${signature(file, count++)}", "keyid": "SHA256:jl3bwswu80PjjokCgh0o2w5c2U4LhQAE57gj9cz1kzA"}], `)
    writeFileSync(join(folder, file), text)
    signed += count
  }
  return signed
}

function signature(file, count) {
  const hash = part => createHash('sha512').update(`${file} ${count} ${part}`).digest()
  return Buffer.concat([hash(0), hash(1)]).subarray(0, signatureBytes).toString('base64')
}
