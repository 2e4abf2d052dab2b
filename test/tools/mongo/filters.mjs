// Filters, compiled once; an operator that is not here is an error.
import { bson } from './packages.mjs';
import { ServerError, badValue } from './errors.mjs';
import { candidates, classOf, compare, isArray, isDocument, isEqual, lookUp, partsOf } from './values.mjs';

const isOperators = value => isDocument(value) && Object.keys(value).length > 0 && Object.keys(value)[0].startsWith('$');

export function compileFilter(filter) {
  const tests = Object.entries(filter).map(([name, condition]) => {
    switch (name) {
      case '$and': return compileAll(name, condition, (all, document) => all.every(test => test(document)));
      case '$or': return compileAll(name, condition, (all, document) => all.some(test => test(document)));
    }

    if (name.startsWith('$')) {
      throw badValue(`unknown top level operator: ${name}. This server has $and and $or.`);
    }

    const parts = partsOf(name);
    if (!isOperators(condition)) {
      return compileOperator(parts, condition instanceof bson.BSONRegExp ? '$regex' : '$eq', condition);
    }

    const each = Object.entries(condition).map(([operator, operand]) => compileOperator(parts, operator, operand));
    return document => each.every(test => test(document));
  });
  return document => tests.every(test => test(document));
}

function compileAll(name, conditions, join) {
  if (!isArray(conditions) || conditions.length === 0) {
    throw badValue(`${name} must be a nonempty array`);
  }

  const all = conditions.map(compileFilter);
  return document => join(all, document);
}

const range = (parts, operand, isIn) => document => candidates(document, parts).some(value => classOf(value) === classOf(operand) && isIn(compare(value, operand)));

function equals(parts, operand) {
  return document => {
    const found = candidates(document, parts);
    return found.length === 0 ? operand === null : found.some(value => isEqual(value, operand));
  };
}

function compileOperator(parts, operator, operand) {
  switch (operator) {
    case '$eq': return equals(parts, operand);
    case '$ne': { const test = equals(parts, operand); return document => !test(document); }
    case '$gt': return range(parts, operand, order => order > 0);
    case '$gte': return range(parts, operand, order => order >= 0);
    case '$lt': return range(parts, operand, order => order < 0);
    case '$lte': return range(parts, operand, order => order <= 0);
    case '$in':
    case '$nin': {
      if (!isArray(operand)) {
        throw badValue(`${operator} needs an array`);
      }

      const all = operand.map(value => equals(parts, value));
      return document => all.some(test => test(document)) === (operator === '$in');
    }
    case '$exists': return document => (lookUp(document, parts).length > 0) === Boolean(operand);
    case '$elemMatch': {
      if (!isDocument(operand) || isOperators(operand)) {
        throw new ServerError(2, 'BadValue', 'This server knows $elemMatch of documents only.');
      }

      const test = compileFilter(operand);
      return document => lookUp(document, parts).some(value => isArray(value) && value.some(item => isDocument(item) && test(item)));
    }
    case '$regex': {
      const { pattern, options } = operand instanceof bson.BSONRegExp ? operand : { pattern: operand, options: '' };
      const regex = new RegExp(pattern, `u${options}`);
      return document => candidates(document, parts).some(value => typeof value === 'string' && regex.test(value));
    }
    default: throw badValue(`unknown operator: ${operator}`);
  }
}

// Values that a path must equal one of, for indexes: null where the filter does not say.
export function equalTo(filter, path) {
  const condition = filter[path];
  return condition === undefined || condition instanceof bson.BSONRegExp ? null
    : !isOperators(condition) ? [condition]
    : '$eq' in condition ? [condition.$eq]
    : '$in' in condition ? condition.$in
    : null;
}
