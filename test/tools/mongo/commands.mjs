// The commands that this server has, each with the fields it takes. Anything else is an error.
import { bson } from './packages.mjs';
import { ServerError, allowOnly, badValue } from './errors.mjs';
import { compileProjection } from './projections.mjs';
import { runPipeline } from './pipelines.mjs';
import { Scram } from './scram.mjs';
import { toNumber } from './values.mjs';
import * as writes from './writes.mjs';

const Everywhere = ['$db', 'lsid', '$readPreference', 'comment', 'maxTimeMS'];
const Reading = ['readConcern'];
const Writing = ['writeConcern', 'txnNumber'];
const WireVersion = 21;

export const Commands = {
  hello: { free: true, fields: ['helloOk', 'client', 'compression', 'saslSupportedMechs', 'speculativeAuthenticate', 'backpressure'], run: hello },
  isMaster: { free: true, fields: ['helloOk', 'client', 'compression', 'saslSupportedMechs', 'speculativeAuthenticate', 'backpressure'], run: hello },
  ismaster: { free: true, fields: ['helloOk', 'client', 'compression', 'saslSupportedMechs', 'speculativeAuthenticate', 'backpressure'], run: hello },
  ping: { free: true, fields: [], run: () => ({ ok: 1 }) },
  saslStart: { free: true, fields: ['mechanism', 'payload', 'options'], run: saslStart },
  saslContinue: { free: true, fields: ['conversationId', 'payload'], run: saslContinue },
  endSessions: { free: true, fields: [], run: () => ({ ok: 1 }) },
  buildInfo: { fields: [], run: () => ({ ok: 1, version: '7.0.0', versionArray: [7, 0, 0, 0], maxBsonObjectSize: 16 * 1024 * 1024 }) },
  find: { fields: ['filter', 'sort', 'projection', 'skip', 'limit', 'batchSize', 'singleBatch', ...Reading], run: find },
  aggregate: { fields: ['pipeline', 'cursor', ...Reading], run: aggregate },
  count: { fields: ['query', ...Reading], run: ({ server, command, namespace }) => ({ ok: 1, n: new bson.Int32(server.databases.find(namespace)?.find(command.query ?? {}).length ?? 0) }) },
  getMore: { fields: ['collection', 'batchSize'], run: ({ server, command, database }) => server.cursors.more(command.getMore, `${database}.${command.collection}`, command.batchSize) },
  killCursors: { fields: ['cursors'], run: ({ server, command }) => server.cursors.kill(command.cursors) },
  insert: { isWrite: true, fields: ['documents', 'ordered', ...Writing], run: ({ server, command, namespace }) => writes.insert(server.databases, command, namespace) },
  update: { isWrite: true, fields: ['updates', 'ordered', ...Writing], run: ({ server, command, namespace }) => writes.update(server.databases, command, namespace) },
  delete: { isWrite: true, fields: ['deletes', 'ordered', ...Writing], run: ({ server, command, namespace }) => writes.remove(server.databases, command, namespace) },
  findAndModify: { isWrite: true, fields: ['query', 'update', 'remove', 'new', 'upsert', 'sort', 'fields', ...Writing], run: ({ server, command, namespace }) => writes.findAndModify(server.databases, command, namespace) },
  createIndexes: { isWrite: true, fields: ['indexes', ...Writing], run: createIndexes },
  drop: { isWrite: true, fields: [...Writing], run: drop },
  dropDatabase: { isWrite: true, fields: [...Writing], run: dropDatabase },
  listCollections: { fields: ['filter', 'cursor', 'nameOnly'], run: listCollections },
  listIndexes: { fields: ['cursor'], run: listIndexes },
  configureFailPoint: { fields: ['mode', 'data'], run: configureFailPoint },
};

export function run(server, connection, command) {
  const name = Object.keys(command)[0];
  const known = Object.hasOwn(Commands, name) ? Commands[name] : undefined;
  if (known === undefined) {
    throw new ServerError(59, 'CommandNotFound', `no such command: '${name}'`);
  }

  allowOnly(name, command, [name, ...known.fields, ...Everywhere]);
  if (server.users.size > 0 && !known.free) {
    if (connection.user === undefined) {
      throw new ServerError(13, 'Unauthorized', `Command ${name} requires authentication`);
    }

    if (known.isWrite && server.readOnly.has(connection.user)) {
      throw new ServerError(13, 'Unauthorized', `not authorized on ${command.$db} to execute command ${name}`);
    }
  }

  checkConcerns(server, command);
  const database = command.$db;
  const answer = () => known.run({ server, connection, command, database, namespace: `${database}.${command[name]}` });
  return command.txnNumber === undefined ? answer() : once(server, command, answer);
}

// A write that is sent again with its number is done once.
function once(server, command, answer) {
  if (server.setName === undefined) {
    throw new ServerError(20, 'IllegalOperation', 'Transaction numbers are only allowed on a replica set member or mongos');
  }

  const key = command.lsid.id.toString('hex');
  const number = BigInt(toNumber(command.txnNumber));
  const last = server.sessions.get(key);
  if (last?.number === number) {
    return last.reply;
  }

  const reply = answer();
  server.sessions.set(key, { number, reply });
  return reply;
}

function checkConcerns(server, { writeConcern, readConcern }) {
  if (writeConcern !== undefined) {
    allowOnly('writeConcern', writeConcern, ['w', 'j', 'wtimeout']);
    if (writeConcern.w !== undefined && writeConcern.w !== 'majority' && Number(toNumber(writeConcern.w)) > 1) {
      throw new ServerError(server.setName === undefined ? 2 : 100, 'UnsatisfiableWriteConcern', 'Not enough data-bearing nodes');
    }
  }

  if (readConcern !== undefined) {
    allowOnly('readConcern', readConcern, ['level']);
    if (readConcern.level !== undefined && !['local', 'majority'].includes(readConcern.level)) {
      throw badValue(`This server has no read concern ${readConcern.level}.`);
    }
  }
}

function hello({ server, connection, command }) {
  const set = server.setName === undefined ? {} : { setName: server.setName, setVersion: 1, hosts: [server.address], me: server.address, primary: server.address, secondary: false };
  const mechanisms = command.saslSupportedMechs === undefined ? {} : { saslSupportedMechs: ['SCRAM-SHA-256'] };
  const begun = command.speculativeAuthenticate === undefined ? {} : { speculativeAuthenticate: begin(server, connection, command.speculativeAuthenticate) };
  return {
    ok: 1,
    helloOk: true,
    isWritablePrimary: true,
    ismaster: true,
    ...set,
    ...mechanisms,
    ...begun,
    maxBsonObjectSize: 16 * 1024 * 1024,
    maxMessageSizeBytes: 48_000_000,
    maxWriteBatchSize: 100_000,
    localTime: new Date(),
    logicalSessionTimeoutMinutes: 30,
    connectionId: connection.id,
    minWireVersion: 0,
    maxWireVersion: WireVersion,
    readOnly: false,
  };
}

// A driver may begin its authentication with the greeting.
function begin(server, connection, command) {
  return saslStart({ server, connection, command });
}

function saslStart({ server, connection, command }) {
  if (command.mechanism !== 'SCRAM-SHA-256') {
    throw new ServerError(334, 'MechanismUnavailable', `Received authentication for mechanism ${command.mechanism} which is not enabled`);
  }

  connection.scram = new Scram(server.users);
  connection.skipsEmptyExchange = command.options?.skipEmptyExchange === true;
  const payload = connection.scram.start(bytesOf(command.payload));
  return { ok: 1, conversationId: 1, done: false, payload: new bson.Binary(payload) };
}

function saslContinue({ connection, command }) {
  if (connection.scram === undefined) {
    throw new ServerError(17, 'ProtocolError', 'No SASL session state found');
  }

  if (connection.scram.isFinished) {
    connection.user = connection.scram.user;
    return { ok: 1, conversationId: 1, done: true, payload: new bson.Binary(Buffer.alloc(0)) };
  }

  const payload = connection.scram.finish(bytesOf(command.payload));
  connection.scram.isFinished = true;
  if (connection.skipsEmptyExchange) {
    connection.user = connection.scram.user;
  }

  return { ok: 1, conversationId: 1, done: connection.skipsEmptyExchange, payload: new bson.Binary(payload) };
}

const bytesOf = binary => Buffer.from(binary.buffer.subarray(0, binary.position));

function find({ server, command, namespace }) {
  const limit = command.limit === undefined ? 0 : Number(toNumber(command.limit));
  const skip = command.skip === undefined ? 0 : Number(toNumber(command.skip));
  const found = server.databases.find(namespace)?.find(command.filter ?? {}, command.sort ?? {}, limit === 0 ? Infinity : Math.abs(limit), skip) ?? [];
  const projected = command.projection === undefined ? found : found.map(compileProjection(command.projection));
  return server.cursors.begin(namespace, projected, command.batchSize, command.singleBatch === true || limit < 0);
}

function aggregate({ server, command, database, namespace }) {
  if (typeof command.aggregate !== 'string') {
    throw badValue(`This server aggregates collections only, not ${database}.`);
  }

  return server.cursors.begin(namespace, runPipeline(server.databases.find(namespace), command.pipeline), command.cursor?.batchSize, false);
}

function createIndexes({ server, command, namespace }) {
  const collection = server.databases.open(namespace);
  const numIndexesBefore = collection.indexes.size;
  for (const index of command.indexes) {
    allowOnly('createIndexes.indexes', index, ['key', 'name', 'unique', 'sparse']);
    if (Object.values(index.key).some(direction => Math.abs(Number(toNumber(direction))) !== 1)) {
      throw new ServerError(67, 'CannotCreateIndex', 'This server has ascending and descending indexes only.');
    }

    collection.createIndex(index);
  }

  return { ok: 1, numIndexesBefore, numIndexesAfter: collection.indexes.size, createdCollectionAutomatically: false };
}

function drop({ server, namespace }) {
  return server.databases.drop(namespace) ? { ok: 1, ns: namespace } : { ok: 1 };
}

function dropDatabase({ server, database }) {
  server.databases.namesOf(database).forEach(name => server.databases.drop(name));
  return { ok: 1, dropped: database };
}

function listCollections({ server, database, command }) {
  if (command.filter !== undefined && Object.keys(command.filter).some(name => name !== 'name')) {
    throw badValue('This server lists collections by name only.');
  }

  const names = server.databases.namesOf(database).map(name => name.slice(database.length + 1)).filter(name => command.filter?.name === undefined || command.filter.name === name);
  return server.cursors.begin(`${database}.$cmd.listCollections`, names.map(name => ({ name, type: 'collection', options: {}, info: { readOnly: false } })), undefined, false);
}

function listIndexes({ server, namespace }) {
  const indexes = [...(server.databases.find(namespace)?.indexes.values() ?? [])].map(({ name, key, unique, isSparse }) => ({ v: 2, key, name, ...(unique && name !== '_id_' ? { unique } : {}), ...(isSparse ? { sparse: true } : {}) }));
  return server.cursors.begin(namespace, indexes, undefined, false);
}

// As servers have it that run with enableTestCommands.
function configureFailPoint({ server, command }) {
  if (command.configureFailPoint !== 'failCommand') {
    throw badValue(`This server has no fail point ${command.configureFailPoint}.`);
  }

  if (command.mode === 'off') {
    server.failing = null;
    return { ok: 1 };
  }

  allowOnly('data', command.data, ['failCommands', 'errorCode', 'closeConnection', 'afterwards']);
  const times = command.mode === 'alwaysOn' ? Infinity : Number(toNumber(command.mode.times));
  server.failing = { times, commands: command.data.failCommands, code: command.data.errorCode === undefined ? null : Number(toNumber(command.data.errorCode)), closes: command.data.closeConnection === true, isAfterwards: command.data.afterwards === true };
  return { ok: 1 };
}
