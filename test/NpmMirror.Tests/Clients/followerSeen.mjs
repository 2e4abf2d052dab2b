// What the scripts of the followers share. Each is started with: the folder of node_modules, the mirror's address, a folder of its own, the package's name.
// It prints a line a change: the id and, where the document came too, how many versions that has; "!" and the reason when the package fails.
import { createRequire } from 'node:module'

export const [tools, url, folder, name] = process.argv.slice(2)
export const load = wanted => createRequire(`${tools}/`)(wanted)
export const seen = ({ id, deleted, doc }) => console.log(`${id} ${deleted ? 'deleted' : doc ? Object.keys(doc.versions ?? {}).length : '-'}`)
export const failed = error => console.log(`! ${error?.stack ?? error}`)
