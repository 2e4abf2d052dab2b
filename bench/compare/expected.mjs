// What a right answer is: the upstream's document with the tarball URLs of the system that answers, in full or abbreviated.
import { isDeepStrictEqual } from 'node:util'

export const forms = {
  full: { accept: 'application/json', type: 'application/json' },
  abbreviated: { accept: 'application/vnd.npm.install-v1+json', type: 'application/vnd.npm.install-v1+json' },
}

const kept = ['name', 'version', 'deprecated', 'dependencies', 'acceptDependencies', 'optionalDependencies', 'devDependencies',
  'bundleDependencies', 'peerDependencies', 'peerDependenciesMeta', 'bin', 'directories', 'dist', 'engines', '_hasShrinkwrap',
  'hasInstallScript', 'funding', 'cpu', 'os', 'libc']

/** Every system has its own address: compared is the text with a placeholder for it. */
const neutral = text => text.replaceAll(/http:\/\/127\.0\.0\.1:\d+\/(?:npm\/)?/g, 'http://base/')

/** The abbreviated form of a full document, as npm's documentation describes it, plus `libc` and `time`. */
export function abbreviate(full) {
  const versions = {}
  for (const [version, manifest] of Object.entries(full.versions ?? {})) {
    const short = {}
    for (const key of kept) if (key in manifest) short[key] = manifest[key]
    if (['preinstall', 'install', 'postinstall'].some(script => manifest.scripts?.[script])) short.hasInstallScript = true
    versions[version] = short
  }
  return { name: full.name, 'dist-tags': full['dist-tags'], versions, time: full.time }
}

/**
 * Compares a decoded body with the upstream's text, by one of two degrees:
 * `exact`: the same bytes (full), or the same JSON (abbreviated; `modified` is the mirror's to derive);
 * `versions`: the same versions, tags and, in each manifest, what an installation depends on; other fields may be dressed up.
 * Gives the first difference as a sentence, or null.
 */
export function difference(degree, form, upstreamText, text) {
  if (degree === 'exact' && form === 'full') return differingText(neutral(upstreamText), neutral(text))
  const upstream = JSON.parse(neutral(upstreamText))
  const answer = JSON.parse(neutral(text))
  if (degree === 'exact') {
    const { modified, ...rest } = answer
    if (typeof modified !== 'string') return '"modified" is missing'
    return differingMember(abbreviate(upstream), rest)
  }
  if (answer.name !== upstream.name) return `the name is ${answer.name}`
  return differingMember(upstream['dist-tags'], answer['dist-tags'], 'dist-tags') ?? differingVersions(upstream.versions, answer.versions)
}

function differingText(expected, actual) {
  if (expected === actual) return null
  let at = 0
  while (expected[at] === actual[at]) at++
  return `at character ${at}: expected …${expected.slice(at - 30, at + 60)}… and not …${actual.slice(at - 30, at + 60)}…`
}

function differingMember(expected, actual, path = '') {
  if (isDeepStrictEqual(expected, actual)) return null
  if (typeof expected !== 'object' || typeof actual !== 'object' || !expected || !actual) {
    return `${path} is ${JSON.stringify(actual)?.slice(0, 100)} and not ${JSON.stringify(expected)?.slice(0, 100)}`
  }
  for (const key of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
    const found = differingMember(expected[key], actual[key], `${path}/${key}`)
    if (found) return found
  }
  return `${path}: ${JSON.stringify(actual).slice(0, 100)} and not ${JSON.stringify(expected).slice(0, 100)}`
}

function differingVersions(expected, actual) {
  for (const version of new Set([...Object.keys(expected), ...Object.keys(actual ?? {})])) {
    for (const key of ['name', 'version', 'dependencies', 'optionalDependencies', 'peerDependencies', 'bin', 'engines', 'os', 'cpu']) {
      const found = differingMember(expected[version]?.[key], actual?.[version]?.[key], `${version}/${key}`)
      if (found) return found
    }
    // pnpr leaves the shasum out where there is an integrity.
    const mark = expected[version]?.dist.integrity ? 'integrity' : 'shasum'
    for (const key of ['tarball', mark]) {
      const found = differingMember(expected[version]?.dist[key], actual[version]?.dist?.[key], `${version}/dist/${key}`)
      if (found) return found
    }
  }
  return null
}
