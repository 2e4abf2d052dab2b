// Every write, one after another in a file: a server that was killed has at its next start what it had acknowledged. Without a folder nothing outlives it.
import fs from 'node:fs';
import path from 'node:path';
import { bson } from './packages.mjs';

const options = { promoteValues: false, promoteLongs: false, promoteBuffers: false, bsonRegExp: true };

export class Journal {
  constructor(folder) {
    this.file = folder === undefined ? null : path.join(folder, 'journal.bson');
    this.handle = null;
  }

  replay(apply) {
    if (this.file === null) {
      return;
    }

    const all = fs.existsSync(this.file) ? fs.readFileSync(this.file) : Buffer.alloc(0);
    let at = 0;
    while (at + 4 <= all.length && at + all.readInt32LE(at) <= all.length) {
      const size = all.readInt32LE(at);
      apply(bson.deserialize(all.subarray(at, at + size), options));
      at += size;
    }

    // A write that the kill cut short was not acknowledged.
    this.handle = fs.openSync(this.file, 'a');
    fs.ftruncateSync(this.handle, at);
  }

  write(record) {
    if (this.handle !== null) {
      fs.writeSync(this.handle, bson.serialize(record));
    }
  }
}
