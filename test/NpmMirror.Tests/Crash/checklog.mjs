// Checks a mirror's log from outside, sharing no code with it: sqlite3 -json FILE "select …" | node checklog.mjs
// Positions dense, each event once, generations ascending per package, and the hash chain computed anew from docs/storage.md.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const rows = JSON.parse(readFileSync(0, 'utf8') || '[]');
const faults = [];
const seen = new Set();
const generations = new Map();
const published = new Set();
let hash = Buffer.alloc(32);

const int64 = (value) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
};
const text = (value) => (value === null ? int64(-1) : Buffer.concat([int64(Buffer.byteLength(value)), Buffer.from(value)]));
const none = -(2n ** 63n);

rows.forEach((row, at) => {
  const event = `${row.package} ${row.generation}/${row.ordinal} ${row.type}`;
  if (row.position !== at + 1) faults.push(`position ${row.position} where ${at + 1} belongs`);
  const key = JSON.stringify([row.package, row.generation, row.ordinal]);
  if (seen.has(key)) faults.push(`${event}: twice`);
  seen.add(key);
  if (row.generation < (generations.get(row.package) ?? 1)) faults.push(`${event}: after a newer generation`);
  generations.set(row.package, row.generation);
  const bytes = Buffer.from(row.payload, 'hex');
  if (row.type === 'VersionPublished') {
    const version = JSON.stringify([row.package, JSON.parse(bytes).version]);
    if (published.has(version)) faults.push(`${event}: ${version} was published before`);
    published.add(version);
  }
  const payload = createHash('sha256').update(bytes).digest();
  hash = createHash('sha256')
    .update(Buffer.concat([hash, int64(row.position), int64(row.at ?? none), int64(row.seen_at), int64(row.generation), int64(row.ordinal), text(row.package), text(row.type), text(row.rev), payload]))
    .digest();
  if (hash.toString('hex') !== row.hash) faults.push(`${event}: the chain breaks`);
});
console.log(JSON.stringify({ events: rows.length, published: published.size, packages: generations.size, faults: faults.slice(0, 20) }));
process.exit(faults.length === 0 ? 0 : 1);
