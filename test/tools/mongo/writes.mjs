// insert, update, delete, findAndModify.
import { bson } from './packages.mjs';
import { ServerError, allowOnly, badValue } from './errors.mjs';
import { applyUpdate, checkStored, isReplacement, seedOf } from './updates.mjs';
import { compileProjection } from './projections.mjs';
import { toNumber } from './values.mjs';

const BatchMax = 100_000;

export function insert(server, command, namespace) {
  return inBatch(command.documents, command.ordered, document => {
    const whole = '_id' in document ? document : { _id: new bson.ObjectId(), ...document };
    checkStored(whole);
    server.open(namespace).insert(whole);
    return { n: 1 };
  });
}

export function update(server, command, namespace) {
  return inBatch(command.updates, command.ordered, (change, index) => {
    allowOnly('update.updates', change, ['q', 'u', 'multi', 'upsert']);
    if (isReplacement(change.u) && change.multi === true) {
      throw new ServerError(9, 'FailedToParse', 'multi update is not supported for replacement-style update');
    }

    const collection = server.open(namespace);
    const found = collection.find(change.q, {}, change.multi === true ? Infinity : 1);
    let changed = 0;
    for (const document of found) {
      changed += apply(collection, document, change.u) === document ? 0 : 1;
    }

    if (found.length === 0 && change.upsert === true) {
      const made = upsert(collection, change.q, change.u);
      return { n: 1, upserted: { index: new bson.Int32(index), _id: made._id } };
    }

    return { n: found.length, changed };
  }, true);
}

export function remove(server, command, namespace) {
  return inBatch(command.deletes, command.ordered, change => {
    allowOnly('delete.deletes', change, ['q', 'limit']);
    const collection = server.find(namespace);
    const found = collection?.find(change.q, {}, Number(toNumber(change.limit)) === 1 ? 1 : Infinity) ?? [];
    found.forEach(document => collection.remove(document));
    return { n: found.length };
  });
}

export function findAndModify(server, command, namespace) {
  const collection = server.open(namespace);
  const [before] = collection.find(command.query ?? {}, command.sort ?? {}, 1);
  const project = command.fields === undefined ? document => document : compileProjection(command.fields);
  if (command.remove === true) {
    if (before !== undefined) {
      collection.remove(before);
    }

    return { ok: 1, lastErrorObject: { n: before === undefined ? 0 : 1 }, value: before === undefined ? null : project(before) };
  }

  if (before === undefined && command.upsert !== true) {
    return { ok: 1, lastErrorObject: { n: 0, updatedExisting: false }, value: null };
  }

  const after = before === undefined ? upsert(collection, command.query ?? {}, command.update) : apply(collection, before, command.update);
  const shown = command.new === true ? after : before;
  return {
    ok: 1,
    lastErrorObject: { n: 1, updatedExisting: before !== undefined, ...(before === undefined ? { upserted: after._id } : {}) },
    value: shown === undefined ? null : project(shown),
  };
}

function apply(collection, document, change) {
  const after = isReplacement(change) ? { _id: document._id, ...change } : applyUpdate(document, change, false);
  checkStored(after);
  if (bson.serialize(after).equals(bson.serialize(document))) {
    return document;
  }

  collection.replace(document, after);
  return after;
}

function upsert(collection, query, change) {
  const seed = seedOf(query);
  const made = isReplacement(change) ? { ...('_id' in seed ? { _id: seed._id } : {}), ...change } : applyUpdate(seed, change, true);
  const whole = '_id' in made ? made : { _id: new bson.ObjectId(), ...made };
  checkStored(whole);
  collection.insert(whole);
  return whole;
}

// Each write of a batch succeeds or fails on its own; an ordered batch ends at the first that fails.
function inBatch(writes, ordered, run, isUpdate = false) {
  if (!Array.isArray(writes) || writes.length === 0 || writes.length > BatchMax) {
    throw badValue(`Write batch sizes must be between 1 and ${BatchMax}.`);
  }

  const reply = { n: 0, nModified: 0, upserted: [], writeErrors: [] };
  for (const [index, write] of writes.entries()) {
    try {
      const result = run(write, index);
      reply.n += result.n;
      reply.nModified += result.changed ?? 0;
      if (result.upserted !== undefined) {
        reply.upserted.push(result.upserted);
      }
    } catch (error) {
      if (!(error instanceof ServerError)) {
        throw error;
      }

      reply.writeErrors.push({ index: new bson.Int32(index), code: new bson.Int32(error.code), errmsg: error.message, ...error.more });
      if (ordered !== false) {
        break;
      }
    }
  }

  return {
    ok: 1,
    n: new bson.Int32(reply.n),
    ...(isUpdate ? { nModified: new bson.Int32(reply.nModified) } : {}),
    ...(reply.upserted.length > 0 ? { upserted: reply.upserted } : {}),
    ...(reply.writeErrors.length > 0 ? { writeErrors: reply.writeErrors } : {}),
  };
}
