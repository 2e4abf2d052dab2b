// Updates by operators. A document is never changed in its place: each gives a new one.
import { bson } from './packages.mjs';
import { ServerError, badValue } from './errors.mjs';
import { compileFilter } from './filters.mjs';
import { compare, isArray, isDocument, isEqual, isNumber, keyOf, partsOf, toNumber } from './values.mjs';

const Absent = Symbol('absent');

export const isReplacement = update => !Object.keys(update).some(name => name.startsWith('$'));

export function checkStored(document, depth = 0) {
  if (depth > 180) {
    throw new ServerError(15, 'Overflow', 'The document is nested too deeply.');
  }

  for (const [name, value] of Object.entries(document)) {
    if (name.startsWith('$')) {
      throw new ServerError(52, 'DollarPrefixedFieldName', `The dollar ($) prefixed field '${name}' is not allowed in the context of an insert or update by this server.`);
    }

    if (isDocument(value) || isArray(value)) {
      checkStored(value, depth + 1);
    }
  }
}

export function applyUpdate(document, update, isInsert) {
  if (!isDocument(update)) {
    throw badValue('This server knows no updates by pipelines.');
  }

  const touched = [];
  let changed = document;
  for (const [operator, changes] of Object.entries(update)) {
    const change = operators[operator];
    if (change === undefined) {
      throw new ServerError(9, 'FailedToParse', `Unknown modifier: ${operator}`);
    }

    for (const [path, operand] of Object.entries(changes)) {
      const parts = partsOf(path);
      if (touched.some(other => other === path || other.startsWith(`${path}.`) || path.startsWith(`${other}.`))) {
        throw new ServerError(40, 'ConflictingUpdateOperators', `Updating the path '${path}' would create a conflict at '${path}'`);
      }

      touched.push(path);
      changed = changeAt(changed, parts, 0, before => change(before, operand, isInsert));
    }
  }

  checkStored(changed);
  return changed;
}

function changeAt(document, parts, at, change) {
  if (!isDocument(document)) {
    throw new ServerError(28, 'PathNotViable', `Cannot create field '${parts[at]}' in this element.`);
  }

  const name = parts[at];
  const before = Object.hasOwn(document, name) ? document[name] : Absent;
  if (at + 1 < parts.length && before === Absent && change(Absent) === Absent) {
    return document;
  }

  const after = at + 1 < parts.length ? changeAt(before === Absent ? {} : before, parts, at + 1, change) : change(before);
  if (after !== Absent) {
    return { ...document, [name]: after };
  }

  const { [name]: _, ...rest } = document;
  return rest;
}

const operators = {
  $set: (_, operand) => operand,
  $setOnInsert: (before, operand, isInsert) => (isInsert ? operand : before),
  $unset: () => Absent,
  $inc: (before, operand) => {
    if (!isNumber(operand) || (before !== Absent && !isNumber(before))) {
      throw new ServerError(14, 'TypeMismatch', 'Cannot apply $inc to a value of non-numeric type.');
    }

    return before === Absent ? operand : sum(before, operand);
  },
  $max: (before, operand) => (before === Absent || compare(operand, before) > 0 ? operand : before),
  $push: (before, operand) => {
    const isEach = isDocument(operand) && Object.keys(operand).some(name => name.startsWith('$'));
    if (isEach && (Object.keys(operand).length !== 1 || !isArray(operand.$each))) {
      throw badValue('This server knows $push with $each and nothing beside it.');
    }

    return [...listOf(before, '$push'), ...(isEach ? operand.$each : [operand])];
  },
  $addToSet: (before, operand) => {
    if (isDocument(operand) && '$each' in operand) {
      throw badValue('This server knows $addToSet of one value.');
    }

    const list = listOf(before, '$addToSet');
    return list.some(item => isEqual(item, operand)) ? list : [...list, operand];
  },
  $pull: (before, operand) => {
    if (before === Absent) {
      return Absent;
    }

    const isOut = isDocument(operand) ? matcher(operand) : item => isEqual(item, operand);
    return listOf(before, '$pull').filter(item => !isOut(item));
  },
};

function matcher(condition) {
  if (Object.keys(condition).some(name => name.startsWith('$'))) {
    const test = compileFilter({ item: condition });
    return item => test({ item });
  }

  const test = compileFilter(condition);
  return item => isDocument(item) && test(item);
}

function listOf(before, operator) {
  if (before === Absent) {
    return [];
  }

  if (!isArray(before)) {
    throw badValue(`The field must be an array for ${operator}.`);
  }

  return before;
}

// The wider type of the two, as the server keeps it.
function sum(a, b) {
  if (a instanceof bson.Double || b instanceof bson.Double) {
    return new bson.Double(Number(toNumber(a)) + Number(toNumber(b)));
  }

  const total = BigInt(toNumber(a)) + BigInt(toNumber(b));
  const isInt = a instanceof bson.Int32 && b instanceof bson.Int32 && total >= -0x80000000n && total <= 0x7fffffffn;
  return isInt ? new bson.Int32(Number(total)) : bson.Long.fromBigInt(total);
}

// The document that an upsert begins with: what the filter says must be equal.
export function seedOf(filter) {
  let seed = {};
  for (const [name, condition] of Object.entries(filter)) {
    if (name.startsWith('$')) {
      throw badValue('This server makes no document from a filter with $and or $or.');
    }

    const isCondition = isDocument(condition) && Object.keys(condition).some(inner => inner.startsWith('$'));
    const value = !isCondition ? condition : '$eq' in condition ? condition.$eq : undefined;
    if (value !== undefined) {
      seed = changeAt(seed, partsOf(name), 0, () => value);
    }
  }

  return seed;
}

export const idOf = document => keyOf(document._id);
