// Aggregations: what filters and sorts is this server's own; the rest is mingo's, for the stages and expressions that are listed here.
import { bson, mingo } from './packages.mjs';
import { ServerError, badValue } from './errors.mjs';
import { compileProjection } from './projections.mjs';
import { isArray, isDocument, toNumber } from './values.mjs';
import { compileFilter } from './filters.mjs';
import { orderBy } from './collection.mjs';

const Expressions = ['$sum', '$min', '$max', '$avg', '$first', '$size'];

export function runPipeline(collection, pipeline) {
  let rest = pipeline;
  let documents;
  const isFirstMatch = rest.length > 0 && '$match' in rest[0];
  if (isFirstMatch) {
    documents = collection?.find(rest[0].$match) ?? [];
    rest = rest.slice(1);
  } else {
    documents = collection?.find({}) ?? [];
  }

  for (const stage of rest) {
    const [[name, body], ...more] = Object.entries(stage);
    if (more.length > 0) {
      throw new ServerError(40323, 'Location40323', 'A pipeline stage specification object must contain exactly one field.');
    }

    documents = runStage(documents, name, body);
  }

  return documents;
}

function runStage(documents, name, body) {
  switch (name) {
    case '$match': return documents.filter(compileFilter(body));
    case '$sort': return [...documents].sort(orderBy(body));
    case '$limit': return documents.slice(0, Number(toNumber(body)));
    case '$skip': return documents.slice(Number(toNumber(body)));
    case '$project': return documents.map(compileProjection(body));
    case '$count': return documents.length === 0 ? [] : [{ [body]: new bson.Int32(documents.length) }];
    case '$unwind':
    case '$group': {
      checkExpressions(body);
      const plain = documents.map(document => toPlain(document));
      return mingo.aggregate(plain, [{ [name]: toPlain(body) }]).map(fromPlain);
    }
    default: throw new ServerError(40324, 'Location40324', `Unrecognized pipeline stage name: '${name}'`);
  }
}

function checkExpressions(value) {
  if (isArray(value)) {
    value.forEach(checkExpressions);
  } else if (isDocument(value)) {
    for (const [name, inner] of Object.entries(value)) {
      if (name.startsWith('$') && !Expressions.includes(name)) {
        throw new ServerError(168, 'InvalidPipelineOperator', `Unrecognized expression '${name}'`);
      }

      checkExpressions(inner);
    }
  } else if (typeof value === 'string' && value.startsWith('$$')) {
    throw badValue(`This server has no variable ${value}.`);
  }
}

// mingo knows numbers of JavaScript; other kinds pass through it untouched.
function toPlain(value) {
  if (isArray(value)) {
    return value.map(toPlain);
  }

  if (isDocument(value)) {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, toPlain(inner)]));
  }

  return value instanceof bson.Long || value instanceof bson.Int32 || value instanceof bson.Double ? Number(toNumber(value)) : value;
}

function fromPlain(value) {
  if (isArray(value)) {
    return value.map(fromPlain);
  }

  if (isDocument(value)) {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, fromPlain(inner)]));
  }

  return typeof value !== 'number' ? value : !Number.isInteger(value) ? new bson.Double(value) : Math.abs(value) < 0x7fffffff ? new bson.Int32(value) : bson.Long.fromNumber(value);
}
