// Compares a mirror with its upstream from outside, sharing no code with either:
//   node compare.mjs UPSTREAM_URL MIRROR_URL
// Every document, tag and removal over HTTP, and every tarball by its integrity. Prints one line a difference; exit code 1 when there is one.
import { createHash } from 'node:crypto';

const [upstream, mirror] = process.argv.slice(2).map((url) => url.replace(/\/$/, ''));
const differences = [];
let documents = 0;
let removals = 0;
let tarballs = 0;

const encode = (name) => name.replace('/', '%2f');
const get = (url) => fetch(url, { headers: { accept: 'application/json' }, signal: AbortSignal.timeout(30_000) });

/** The document with every file URL replaced by its last segment: the hosts differ, nothing else may. */
function normalised(text) {
  const document = JSON.parse(text);
  for (const manifest of Object.values(document.versions ?? {})) {
    if (manifest.dist?.tarball) manifest.dist.tarball = manifest.dist.tarball.split('/').pop();
    if (manifest.dist?.attestations?.url) manifest.dist.attestations.url = manifest.dist.attestations.url.split('/').pop();
  }
  return document;
}

const sorted = (value) =>
  Array.isArray(value) ? value.map(sorted)
    : value && typeof value === 'object' ? Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]))
      : value;

async function compareDocument(name) {
  const [theirs, ours] = await Promise.all([get(`${upstream}/${encode(name)}`), get(`${mirror}/${encode(name)}`)]);
  const their = await theirs.text();
  const our = await ours.text();
  const isGone = theirs.status === 404 || !JSON.parse(their).versions;
  if (isGone) {
    removals++;
    if (ours.status !== 404) differences.push(`${name}: gone upstream, ${ours.status} here`);
    return;
  }
  documents++;
  if (ours.status !== 200) {
    differences.push(`${name}: there upstream, ${ours.status} here: ${our.slice(0, 200)}`);
    return;
  }
  const left = normalised(their);
  const right = normalised(our);
  if (JSON.stringify(sorted(left)) !== JSON.stringify(sorted(right))) {
    differences.push(`${name}: documents differ: upstream ${left._rev}, here ${right._rev}`);
  }
  const tags = await (await get(`${mirror}/-/package/${encode(name)}/dist-tags`)).json();
  if (JSON.stringify(sorted(tags)) !== JSON.stringify(sorted(left['dist-tags']))) differences.push(`${name}: tags differ`);

  const latest = left.versions[left['dist-tags'].latest];
  const ourLatest = JSON.parse(our).versions[latest?.version];
  if (ourLatest) {
    const file = await get(ourLatest.dist.tarball);
    const bytes = Buffer.from(await file.arrayBuffer());
    const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
    tarballs++;
    if (file.status !== 200 || (latest.dist.integrity && latest.dist.integrity !== integrity)) differences.push(`${name}@${latest.version}: tarball differs (${file.status})`);
  }
}

const state = await (await fetch(`${upstream}/-/fake/state`, { method: 'POST', body: '{}' })).json();
const names = state.rows.map((row) => row.name);
for (let at = 0; at < names.length; at += 8) {
  await Promise.all(names.slice(at, at + 8).map(compareDocument));
}
console.log(JSON.stringify({ documents, removals, tarballs, differences }));
process.exit(differences.length === 0 ? 0 : 1);
