// One collection: documents by their _id, in its order, and indexes that find and forbid.
import { bson } from './packages.mjs';
import { ServerError } from './errors.mjs';
import { compileFilter, equalTo } from './filters.mjs';
import { compare, indexed, isArray, keyOf, lookUp, partsOf } from './values.mjs';

const SizeMax = 16 * 1024 * 1024;

export class Collection {
  constructor(name, journal) {
    Object.assign(this, { name, journal, documents: new Map(), ordered: [], indexes: new Map() });
    this.indexes.set('_id_', { name: '_id_', key: { _id: 1 }, unique: true, paths: [['_id']], isSparse: false });
  }

  createIndex({ name, key, unique, sparse }) {
    const before = this.indexes.get(name) ?? [...this.indexes.values()].find(index => keyOf(index.key) === keyOf(key));
    if (before !== undefined) {
      if (before.name !== name || keyOf(before.key) !== keyOf(key) || before.unique !== Boolean(unique) || before.isSparse !== Boolean(sparse)) {
        throw new ServerError(86, 'IndexKeySpecsConflict', `An existing index has the same name or key as the requested index: ${before.name}`);
      }

      return false;
    }

    const index = { name, key, unique: Boolean(unique), isSparse: Boolean(sparse), paths: Object.keys(key).map(partsOf), entries: new Map() };
    for (const entry of this.documents.values()) {
      this.checkIndex(index, entry.document, null);
      this.enter(index, entry);
    }

    this.indexes.set(name, index);
    this.journal.write({ c: this.name, index: { name, key, unique: index.unique, sparse: index.isSparse } });
    return true;
  }

  insert(document) {
    const id = keyOf(document._id);
    if (this.documents.has(id)) {
      throw this.duplicate(this.indexes.get('_id_'), [document._id]);
    }

    if (isArray(document._id) || document._id instanceof bson.BSONRegExp) {
      throw new ServerError(2, 'InvalidIdField', "The '_id' value cannot be of this type.");
    }

    this.put(id, document, null);
  }

  replace(before, document) {
    const id = keyOf(before._id);
    if (keyOf(document._id) !== id) {
      throw new ServerError(66, 'ImmutableField', "Performing an update on the path '_id' would modify the immutable field '_id'");
    }

    this.put(id, document, this.documents.get(id));
  }

  put(id, document, before) {
    const size = bson.calculateObjectSize(document);
    if (size > SizeMax) {
      throw before === null
        ? new ServerError(2, 'BadValue', `object to insert too large. size in bytes: ${size}, max size: ${SizeMax}`)
        : new ServerError(17419, 'Location17419', `Resulting document after update is larger than ${SizeMax}`);
    }

    for (const index of this.indexes.values()) {
      if (index.name !== '_id_') {
        this.checkIndex(index, document, before);
      }
    }

    this.journal.write({ c: this.name, d: document });
    this.keep(id, document, before ?? undefined);
  }

  keep(id, document, before) {
    const entry = { document, id };
    if (before !== undefined) {
      this.leave(before);
      this.ordered[this.placeOf(document._id)] = entry;
    } else {
      this.ordered.splice(this.placeOf(document._id), 0, entry);
    }

    this.documents.set(id, entry);
    for (const index of this.indexes.values()) {
      this.enter(index, entry);
    }
  }

  remove(document) {
    const id = keyOf(document._id);
    this.journal.write({ c: this.name, gone: document._id });
    this.drop(id);
  }

  drop(id) {
    const entry = this.documents.get(id);
    this.leave(entry);
    this.documents.delete(id);
    this.ordered.splice(this.placeOf(entry.document._id), 1);
  }

  // Documents that match, in the order of _id unless another is asked for.
  find(filter, sort = {}, max = Infinity, skip = 0) {
    const test = compileFilter(filter);
    const [first] = Object.entries(sort);
    const isById = first === undefined || first[0] === '_id';
    const found = [];
    for (const entry of this.planned(filter, isById && first !== undefined && Number(first[1]) < 0)) {
      if (test(entry.document)) {
        found.push(entry.document);
        if (isById && found.length === max + skip) {
          break;
        }
      }
    }

    if (!isById) {
      found.sort(orderBy(sort));
    }

    return found.slice(skip, skip + max);
  }

  *planned(filter, isDescending) {
    const ids = equalTo(filter, '_id');
    const index = ids === null ? [...this.indexes.values()].find(one => one.entries !== undefined && equalTo(filter, one.paths[0].join('.')) !== null) : undefined;
    if (ids !== null || index !== undefined) {
      const entries = ids !== null
        ? ids.map(id => this.documents.get(keyOf(id))).filter(entry => entry !== undefined)
        : equalTo(filter, index.paths[0].join('.')).flatMap(value => [...(index.entries.get(keyOf(value)) ?? [])]);
      yield* [...new Set(entries)].sort((a, b) => compare(a.document._id, b.document._id) * (isDescending ? -1 : 1));
      return;
    }

    const range = filter._id ?? {};
    const low = range.$gte ?? range.$gt;
    const high = range.$lte ?? range.$lt;
    const begin = low === undefined ? 0 : this.placeOf(low);
    const end = high === undefined ? this.ordered.length : Math.min(this.ordered.length, this.placeOf(high) + 1);
    for (let i = isDescending ? end - 1 : begin; isDescending ? i >= begin : i < end; i += isDescending ? -1 : 1) {
      yield this.ordered[i];
    }
  }

  placeOf(id) {
    let [low, high] = [0, this.ordered.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(this.ordered[middle].document._id, id) < 0) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }

    return low;
  }

  checkIndex(index, document, before) {
    if (index.paths.filter(path => lookUp(document, path).some(isArray)).length > 1) {
      throw new ServerError(171, 'CannotIndexParallelArrays', `cannot index parallel arrays of ${index.name}`);
    }

    if (index.unique && !(index.isSparse && index.paths.every(path => lookUp(document, path).length === 0))) {
      const values = index.paths.map(path => indexed(document, path)[0]);
      const same = [...(index.entries.get(keyOf(values[0])) ?? [])].find(entry => entry !== before && index.paths.every((path, i) => compare(indexed(entry.document, path)[0], values[i]) === 0));
      if (same !== undefined) {
        throw this.duplicate(index, values);
      }
    }
  }

  enter(index, entry) {
    for (const key of index.entries === undefined ? [] : indexed(entry.document, index.paths[0]).map(keyOf)) {
      const list = index.entries.get(key);
      if (list === undefined) {
        index.entries.set(key, new Set([entry]));
      } else {
        list.add(entry);
      }
    }
  }

  leave(entry) {
    for (const index of this.indexes.values()) {
      for (const key of index.entries === undefined ? [] : indexed(entry.document, index.paths[0]).map(keyOf)) {
        index.entries.get(key)?.delete(entry);
      }
    }
  }

  duplicate(index, values) {
    const keyValue = Object.fromEntries(Object.keys(index.key).map((name, i) => [name, values[i]]));
    return new ServerError(11000, 'DuplicateKey', `E11000 duplicate key error collection: ${this.name} index: ${index.name} dup key: ${bson.EJSON.stringify(keyValue)}`, { keyPattern: index.key, keyValue });
  }
}

export function orderBy(sort) {
  const keys = Object.entries(sort).map(([path, direction]) => ({ parts: partsOf(path), sign: Number(direction) }));
  const keyAt = (document, { parts, sign }) => indexed(document, parts).reduce((best, value) => (best === undefined || compare(value, best) * sign < 0 ? value : best), undefined);
  return (a, b) => {
    for (const key of keys) {
      const found = compare(keyAt(a, key), keyAt(b, key)) * key.sign;
      if (found !== 0) {
        return found;
      }
    }

    return 0;
  };
}
