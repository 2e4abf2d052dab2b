// Writes ../Fixtures/chain-vectors.json: log rows and the hashes that docs/storage.md ("The chain") gives them. It shares no code with the product.
// node chain-vectors.mjs > ../Fixtures/chain-vectors.json
import { createHash } from 'node:crypto';

const int64 = (value) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
};
const text = (value) => (value === null ? int64(-1) : Buffer.concat([int64(Buffer.byteLength(value, 'utf8')), Buffer.from(value, 'utf8')]));
const noDate = -(2n ** 63n);
const sha256 = (...parts) => createHash('sha256').update(Buffer.concat(parts)).digest();

const row = (changes) => ({
  package: 'left-pad', generation: 1, ordinal: 0, type: 'VersionPublished', at: '2020-01-02T03:04:05.006Z', seenAt: '2026-11-01T12:00:00.000Z', rev: '1-a', payload: '{"version":"1.0.0"}', ...changes,
});
const rows = [
  row({}),
  row({ ordinal: 1, at: null }),
  row({ ordinal: 2, at: '1970-01-01T00:00:00.000Z' }),
  row({ ordinal: 3, at: '1969-12-31T23:59:59.999Z' }),
  row({ generation: 2, rev: null }),
  row({ generation: 3, rev: '' }),
  row({ generation: 4, rev: '2-ä€😀' }),
  row({ generation: 4, ordinal: 1, type: '' }),
  row({ package: '@scope/name', generation: 9007199254740991, payload: '' }),
  row({ package: 'jsonstream', seenAt: '9999-12-31T23:59:59.999Z', at: '0001-01-01T00:00:00.000Z', payload: 'ä'.repeat(5000) }),
  row({ package: 'JSONStream', ordinal: 2147483647 }),
];

let hash = Buffer.alloc(32);
rows.forEach((row, index) => {
  row.position = index + 1;
  hash = sha256(
    hash,
    int64(row.position),
    int64(row.at === null ? noDate : Date.parse(row.at)),
    int64(Date.parse(row.seenAt)),
    int64(row.generation),
    int64(row.ordinal),
    text(row.package),
    text(row.type),
    text(row.rev),
    sha256(Buffer.from(row.payload, 'utf8')),
  );
  row.hash = hash.toString('hex');
});
console.log(JSON.stringify(rows, null, 1));
