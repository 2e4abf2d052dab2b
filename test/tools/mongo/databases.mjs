// All collections, by their full names.
import { Collection } from './collection.mjs';
import { keyOf } from './values.mjs';

export class Databases {
  constructor(journal) {
    this.journal = journal;
    this.collections = new Map();
    const quiet = { write() {} };
    journal.replay(record => {
      const collection = this.open(record.c, quiet);
      if (record.dropped === true) {
        this.collections.delete(record.c);
      } else if (record.index !== undefined) {
        collection.createIndex(record.index);
      } else if (record.d !== undefined) {
        const id = keyOf(record.d._id);
        collection.keep(id, record.d, collection.documents.get(id));
      } else {
        collection.drop(keyOf(record.gone));
      }
    });
    for (const collection of this.collections.values()) {
      collection.journal = journal;
    }
  }

  find(name) {
    return this.collections.get(name);
  }

  open(name, journal = this.journal) {
    if (!this.collections.has(name)) {
      this.collections.set(name, new Collection(name, journal));
    }

    return this.collections.get(name);
  }

  drop(name) {
    const wasThere = this.collections.delete(name);
    if (wasThere) {
      this.journal.write({ c: name, dropped: true });
    }

    return wasThere;
  }

  namesOf(database) {
    return [...this.collections.keys()].filter(name => name.startsWith(`${database}.`)).sort();
  }
}
