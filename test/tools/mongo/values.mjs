// BSON values: their order, their equality, and where they lie in a document.
import { bson } from './packages.mjs';
import { badValue } from './errors.mjs';

export const isArray = Array.isArray;
export const isNumber = value => typeof value === 'number' || value instanceof bson.Long || value instanceof bson.Int32 || value instanceof bson.Double;
export const isDocument = value => value !== null && typeof value === 'object' && value._bsontype === undefined && !isArray(value) && !(value instanceof Date) && !(value instanceof RegExp);

export function toNumber(value) {
  if (typeof value === 'number') {
    return value;
  }

  const big = value instanceof bson.Long ? value.toBigInt() : null;
  return big === null ? value.valueOf() : big >= BigInt(Number.MIN_SAFE_INTEGER) && big <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(big) : big;
}

// The classes of MongoDB's order; a range compares within one class only.
export function classOf(value) {
  if (value === undefined || value === null) return 1;
  if (isNumber(value)) return 2;
  if (typeof value === 'string') return 3;
  if (isArray(value)) return 5;
  if (value instanceof bson.Binary) return 6;
  if (value instanceof bson.ObjectId) return 7;
  if (typeof value === 'boolean') return 8;
  if (value instanceof Date) return 9;
  if (value instanceof bson.BSONRegExp) return 11;
  if (isDocument(value)) return 4;
  throw badValue(`This server has no values of the kind ${value._bsontype}.`);
}

export function compare(a, b) {
  const kind = classOf(a);
  const other = classOf(b);
  if (kind !== other) {
    return kind < other ? -1 : 1;
  }

  switch (kind) {
    case 1: return 0;
    case 2: return order(toNumber(a), toNumber(b));
    case 3: return compareTexts(a, b);
    case 4: return compareDocuments(a, b);
    case 5: return compareLists(a, b, compare);
    case 6: return order(a.length(), b.length()) || order(a.sub_type, b.sub_type) || Buffer.compare(a.buffer.subarray(0, a.position), b.buffer.subarray(0, b.position));
    case 7: return Buffer.compare(a.id, b.id);
    case 8: return order(a, b);
    case 9: return order(a.getTime(), b.getTime());
    default: return compareTexts(a.pattern, b.pattern) || compareTexts(a.options, b.options);
  }
}

export const isEqual = (a, b) => compare(a, b) === 0;

const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

// By UTF-8 bytes: the simple collation. UTF-16 has another order only where one side is a surrogate.
export function compareTexts(a, b) {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) {
      const [isX, isY] = [(x & 0xf800) === 0xd800, (y & 0xf800) === 0xd800];
      return isX === isY ? order(x, y) : isX ? 1 : -1;
    }
  }

  return order(a.length, b.length);
}

function compareDocuments(a, b) {
  return compareLists(Object.entries(a), Object.entries(b), ([nameA, valueA], [nameB, valueB]) =>
    order(classOf(valueA), classOf(valueB)) || compareTexts(nameA, nameB) || compare(valueA, valueB));
}

function compareLists(a, b, compareItems) {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const found = compareItems(a[i], b[i]);
    if (found !== 0) {
      return found;
    }
  }

  return order(a.length, b.length);
}

// One text for all values that are equal.
export function keyOf(value) {
  switch (classOf(value)) {
    case 1: return 'z';
    case 2: return `n${toNumber(value)}`;
    case 3: return `s${value}`;
    case 4: return `o{${Object.entries(value).map(([name, inner]) => `${JSON.stringify(name)}:${JSON.stringify(keyOf(inner))}`)}}`;
    case 5: return `a[${value.map(inner => JSON.stringify(keyOf(inner)))}]`;
    case 6: return `b${value.sub_type}:${value.toString('base64')}`;
    case 7: return `i${value.toHexString()}`;
    case 8: return `t${value}`;
    case 9: return `d${value.getTime()}`;
    default: return `r${value.pattern}/${value.options}`;
  }
}

export function partsOf(path) {
  const parts = path.split('.');
  if (parts.some(part => part.length === 0 || part.startsWith('$') || /^\d+$/.test(part))) {
    throw badValue(`This server does not know the path '${path}'.`);
  }

  return parts;
}

// The values at a path; arrays on the way give those of each element.
export function lookUp(document, parts, from = 0) {
  if (from === parts.length) {
    return [document];
  }

  if (isArray(document)) {
    return document.filter(isDocument).flatMap(item => lookUp(item, parts, from));
  }

  return isDocument(document) && Object.hasOwn(document, parts[from]) ? lookUp(document[parts[from]], parts, from + 1) : [];
}

// The same, and the elements of the arrays that are found: what a condition is held against.
export const candidates = (document, parts) => lookUp(document, parts).flatMap(value => (isArray(value) ? [...value, value] : [value]));

// What an index has of a document: an array's elements each.
export function indexed(document, parts) {
  const values = lookUp(document, parts).flatMap(value => (isArray(value) ? (value.length === 0 ? [null] : value) : [value]));
  return values.length === 0 ? [null] : values;
}
