// Reads cases from the file named first and says where our view of a packument differs from JavaScript's.
// A case: name, the upstream's earlier bytes, its bytes now, our view (JSON), our full form, our abbreviated form; each with its length before it.
// An empty view = we refused the document.
'use strict';
const fs = require('fs');
const { isDeepStrictEqual } = require('util');

const base = 'https://mirror.example.org/npm';
const kept = ['name', 'version', 'deprecated', 'dependencies', 'acceptDependencies', 'optionalDependencies', 'devDependencies', 'bundleDependencies', 'bundledDependencies', 'peerDependencies',
  'peerDependenciesMeta', 'bin', 'directories', 'dist', 'engines', '_hasShrinkwrap', 'funding', 'cpu', 'os', 'libc'];
const input = fs.readFileSync(process.argv[2]);
const decoder = new TextDecoder();
let at = 0;
let cases = 0;
let accepted = 0;
while (at < input.length) {
  const [name, old, now, view, full, abbreviated] = [next(), next(), next(), next(), next(), next()];
  const failure = check(decoder.decode(name), old, now, view, full, abbreviated);
  if (failure) {
    console.log(`case ${cases}: ${failure}\n${decoder.decode(now).slice(0, 3000)}`);
    process.exit(1);
  }
  cases++;
}
console.log(`${cases} cases, ${accepted} accepted`);

function next() {
  const length = input.readUInt32LE(at);
  at += 4 + length;
  return input.subarray(at - length, at);
}

function check(name, old, now, view, full, abbreviated) {
  const json = decoder.decode(now);
  let document;
  try {
    document = JSON.parse(json);
  } catch (e) {
    return view.length ? `we accepted what JSON.parse refuses: ${e.message}` : null;
  }
  const refusal = refuse(name, document, json);
  if (refusal || !view.length) {
    return refusal && view.length ? `we accepted ${refusal}` : !refusal && !view.length ? 'we refused what JSON.parse accepts' : null;
  }
  accepted++;
  const expected = viewOf(document);
  const ours = JSON.parse(view);
  for (const member of Object.keys(expected)) {
    if (!isDeepStrictEqual(ours[member], expected[member])) return `${member}: expected ${JSON.stringify(expected[member])}, ours ${JSON.stringify(ours[member])}`;
  }
  const difference = differenceOf(JSON.parse(decoder.decode(old)), document);
  for (const member of Object.keys(difference)) {
    if (!isDeepStrictEqual(ours.diff[member], difference[member])) return `diff.${member}: expected ${JSON.stringify(difference[member])}, ours ${JSON.stringify(ours.diff[member])}`;
  }
  withOurUrls(name, document);
  if (!isDeepStrictEqual(JSON.parse(full), document)) return 'the full form differs';
  if (!isDeepStrictEqual(JSON.parse(abbreviated), abbreviatedOf(name, document))) return `the abbreviated form differs: ${abbreviated}\nexpected ${JSON.stringify(abbreviatedOf(name, document))}`;
  return null;
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function own(value, key) {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

function text(value) {
  return typeof value === 'string' ? value : null;
}

// Of the text, not of the value: what a later equal key hides nests as well.
function depth(json) {
  let deepest = 0;
  let level = 0;
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/gs)) {
    level += token === '{' || token === '[' ? 1 : token === '}' || token === ']' ? -1 : 0;
    deepest = Math.max(deepest, level);
  }
  return deepest;
}

function refuse(name, document, json) {
  if (!isObject(document)) return 'no object';
  if (depth(json) > 1000) return 'something too deep';
  const said = text(own(document, 'name')) ?? text(own(document, '_id'));
  return said !== null && said !== name ? 'another name' : null;
}

function dateOf(value) {
  const parts = typeof value === 'string' && Buffer.byteLength(value) <= 40
    && /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(Z|z|([+-])(\d\d)(?::?(\d\d))?)?)?$/.exec(value);
  if (!parts) return null;
  const [, year, month, day, hour = 0, minute = 0, second = 0, fraction = '', , sign, offsetHour = 0, offsetMinute = 0] = parts;
  const date = new Date(0);
  date.setUTCFullYear(+year, month - 1, +day);
  if (+year < 1 || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== +day || hour > 23 || minute > 59 || second > 59 || offsetHour > 23 || offsetMinute > 59) return null;
  const shift = (offsetHour * 60 + +offsetMinute) * (sign === '-' ? -1 : 1);
  const time = date.getTime() + (hour * 3600 + minute * 60 + +second) * 1000 + +fraction.padEnd(3, '0').slice(0, 3) - shift * 60000;
  return time < -62135596800000 || time > 253402300799999 ? null : time;
}

function manifests(document) {
  const versions = own(document, 'versions');
  return isObject(versions) ? Object.entries(versions).filter(([, manifest]) => isObject(manifest)).sort(byKey) : [];
}

function byKey([left], [right]) {
  return left < right ? -1 : left > right ? 1 : 0;
}

function tagsOf(document) {
  const tags = own(document, 'dist-tags');
  return isObject(tags) ? Object.entries(tags).filter(([, version]) => typeof version === 'string').sort(byKey) : [];
}

function modifiedOf(document) {
  const time = own(document, 'time');
  const dates = isObject(time) ? Object.values(time).map(dateOf).filter(date => date !== null) : [];
  return dateOf(own(document, 'modified')) ?? dateOf(own(time, 'modified')) ?? (dates.length ? dates.reduce((a, b) => Math.max(a, b)) : null);
}

function viewOf(document) {
  const time = own(document, 'time');
  const versions = manifests(document);
  const all = own(document, 'versions');
  return {
    rev: text(own(document, '_rev')),
    created: dateOf(own(time, 'created')),
    modified: modifiedOf(document),
    tags: tagsOf(document),
    versions: versions.map(([version, manifest]) => {
      const dist = own(manifest, 'dist');
      return [version, text(own(dist, 'tarball')), text(own(own(dist, 'attestations'), 'url')), dateOf(own(time, version)), text(own(dist, 'integrity')), text(own(dist, 'shasum'))];
    }),
    isUnpublished: isObject(own(time, 'unpublished')) && !(isObject(all) && Object.keys(all).length > 0),
    isSecurityHolder: versions.length > 0 && versions.every(([version]) => version.startsWith('0.0.1-security')),
  };
}

// What changed, by the rules in the comments of PackumentDiff.
function differenceOf(old, now) {
  const [before, after] = [new Map(manifests(old)), new Map(manifests(now))];
  const both = [...after.keys()].filter(version => before.has(version));
  const [oldTags, newTags] = [new Map(tagsOf(old)), new Map(tagsOf(now))];
  const [oldTime, newTime] = [own(old, 'time'), own(now, 'time')];
  const elsewhere = ['versions', 'dist-tags', 'time', 'maintainers', 'modified'];
  const members = changed(old, now).filter(member => !elsewhere.includes(member));
  if (!isDeepStrictEqual(leftOut(own(old, 'versions'), isObject), leftOut(own(now, 'versions'), isObject))) members.push('versions');
  if (!isDeepStrictEqual(leftOut(own(old, 'dist-tags'), isText), leftOut(own(now, 'dist-tags'), isText))) members.push('dist-tags');
  if ([...both, 'created'].some(key => !isDeepStrictEqual(own(oldTime, key), own(newTime, key)))) members.push('time');
  return {
    added: [...after.keys()].filter(version => !before.has(version)),
    removed: [...before.keys()].filter(version => !after.has(version)),
    changed: both.map(version => [version, changed(withoutUrls(before.get(version)), withoutUrls(after.get(version))).sort()]).filter(([, names]) => names.length),
    tags: [...new Set([...oldTags.keys(), ...newTags.keys()])].filter(tag => oldTags.get(tag) !== newTags.get(tag)).sort(),
    areMaintainersChanged: !isDeepStrictEqual(own(old, 'maintainers'), own(now, 'maintainers')),
    members: members.sort(),
  };
}

function isText(value) {
  return typeof value === 'string';
}

function leftOut(value, isKnown) {
  if (value === undefined) return [];
  return isObject(value) ? Object.entries(value).filter(([, entry]) => !isKnown(entry)).sort(byKey) : [value];
}

function changed(old, now) {
  return [...new Set([...Object.keys(old), ...Object.keys(now)])].filter(key => Object.hasOwn(old, key) !== Object.hasOwn(now, key) || !isDeepStrictEqual(old[key], now[key]));
}

function withoutUrls(manifest) {
  return replaceUrls(manifest, '', '');
}

// A copy only along the way to the two URLs.
function replaceUrls(manifest, tarball, attestations) {
  const dist = own(manifest, 'dist');
  if (!isObject(dist)) return manifest;
  const copy = clone(dist);
  if (isText(own(dist, 'tarball'))) copy.tarball = tarball;
  if (isText(own(own(dist, 'attestations'), 'url'))) {
    copy.attestations = clone(dist.attestations);
    copy.attestations.url = attestations;
  }
  const replaced = clone(manifest);
  replaced.dist = copy;
  return replaced;
}

function clone(object) {
  const copy = {};
  for (const [key, value] of Object.entries(object)) Object.defineProperty(copy, key, { value, enumerable: true, writable: true, configurable: true });
  return copy;
}

function encode(text) {
  return encodeURIComponent(text.toWellFormed()).replace(/[!'()*]/g, c => '%' + c.charCodeAt(0).toString(16).toUpperCase());
}

function withOurUrls(name, document) {
  const bare = name.slice(name.indexOf('/') + 1);
  const scope = name.includes('/') ? name.slice(0, name.indexOf('/')) : null;
  for (const [version, manifest] of manifests(document)) {
    const encoded = encode(version).replaceAll('%2B', '+');
    const replaced = replaceUrls(manifest, `${base}/${scope ? scope + '/' : ''}${bare}/-/${bare}-${encoded}.tgz`, `${base}/-/npm/v1/attestations/${scope ? scope + '%2f' : ''}${bare}@${encoded}`);
    Object.defineProperty(document.versions, version, { value: replaced, enumerable: true, writable: true, configurable: true });
  }
}

function abbreviatedOf(name, document) {
  const versions = manifests(document);
  const time = own(document, 'time');
  const modified = modifiedOf(document);
  const result = { name };
  if (modified !== null) result.modified = new Date(modified).toISOString();
  result['dist-tags'] = fromEntries(tagsOf(document));
  result.versions = fromEntries(versions.map(([version, manifest]) => {
    const entries = Object.entries(manifest).filter(([key]) => kept.includes(key));
    const scripts = own(manifest, 'scripts');
    const runs = Object.hasOwn(manifest, 'scripts')
      ? ['preinstall', 'install', 'postinstall'].some(script => isText(own(scripts, script)) && own(scripts, script) !== '')
      : own(manifest, 'hasInstallScript') === true;
    return [version, fromEntries(runs ? [...entries, ['hasInstallScript', true]] : entries)];
  }));
  if (isObject(time) && versions.every(([version]) => dateOf(own(time, version)) !== null)) result.time = time;
  return result;
}

function fromEntries(entries) {
  const result = {};
  for (const [key, value] of entries) Object.defineProperty(result, key, { value, enumerable: true, writable: true, configurable: true });
  return result;
}
