// Tarballs of known sizes, for measuring how files are served: seeded bytes that do not compress.
import { createCipheriv, createHash } from 'node:crypto'

/** Package name → length of its only tarball. */
export const sizes = { 'tarball-of-50kb': 50 * 1024, 'tarball-of-5mb': 5 * 1024 * 1024 }

export const fileOf = name => `${name}-1.0.0.tgz`

/** The same bytes in every process. */
export const bytesOf = name => createCipheriv('aes-128-ctr', createHash('md5').update(name).digest(), Buffer.alloc(16)).update(Buffer.alloc(sizes[name]))

export const packumentOf = (name, base) => ({
  _id: name, name, 'dist-tags': { latest: '1.0.0' },
  versions: {
    '1.0.0': {
      name, version: '1.0.0',
      dist: {
        tarball: `${base}${name}/-/${fileOf(name)}`,
        integrity: `sha512-${createHash('sha512').update(bytesOf(name)).digest('base64')}`,
        shasum: createHash('sha1').update(bytesOf(name)).digest('hex'),
      },
    },
  },
  time: { created: '2026-01-01T00:00:00.000Z', modified: '2026-01-01T00:00:00.000Z', '1.0.0': '2026-01-01T00:00:00.000Z' },
})
