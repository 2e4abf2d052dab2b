// A look-alike of a MongoDB server, for the tests of the engine: it speaks the wire protocol of mongod 7.0 to real drivers. It knows the commands, operators and
// options that the engine and the examples in docs use, answers everything else with an error, and is no database: all is in memory, and with --data also in one journal.
//
//   node test/tools/mongo-server.mjs [--port=0] [--data=FOLDER] [--user=NAME:PASSWORD]… [--read-only=NAME:PASSWORD]… [--set=NAME] [--cert=FILE --key=FILE]
//
// --set plays a replica set of one member: retryable writes by their number. Transactions it refuses in any role, as a standalone server does.
import fs from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { run } from './mongo/commands.mjs';
import { Cursors } from './mongo/cursors.mjs';
import { Databases } from './mongo/databases.mjs';
import { ServerError } from './mongo/errors.mjs';
import { Journal } from './mongo/journal.mjs';
import { MessageReader, format, parse } from './mongo/wire.mjs';

const options = process.argv.slice(2).map(argument => /^--([a-z-]+)=(.*)$/s.exec(argument) ?? fail(argument)).map(([, name, value]) => [name, value]);
const all = name => options.filter(([other]) => other === name).map(([, value]) => value);
const one = name => all(name)[0];
const unknown = options.find(([name]) => !['port', 'data', 'user', 'read-only', 'set', 'cert', 'key'].includes(name));
if (unknown !== undefined) {
  fail(unknown[0]);
}

const server = {
  databases: new Databases(new Journal(one('data'))),
  cursors: new Cursors(),
  sessions: new Map(),
  users: new Map([...all('user'), ...all('read-only')].map(pair => [pair.slice(0, pair.indexOf(':')), pair.slice(pair.indexOf(':') + 1)])),
  readOnly: new Set(all('read-only').map(pair => pair.slice(0, pair.indexOf(':')))),
  setName: one('set'),
  address: '',
  failing: null,
};
let connections = 0;
let replies = 0;

const listener = one('cert') === undefined
  ? net.createServer(serve)
  : tls.createServer({ cert: fs.readFileSync(one('cert')), key: fs.readFileSync(one('key')) }, serve);
listener.listen(Number(one('port') ?? 0), '127.0.0.1', () => {
  server.address = `127.0.0.1:${listener.address().port}`;
  console.log(`Listening on ${listener.address().port}`);
});
listener.on('tlsClientError', () => {});

function serve(socket) {
  const connection = { id: ++connections };
  const reader = new MessageReader();
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('data', chunk => {
    try {
      for (const message of reader.read(chunk)) {
        answer(socket, connection, parse(message));
      }
    } catch (error) {
      console.error(error);
      socket.destroy();
    }
  });
}

function answer(socket, connection, request) {
  const name = Object.keys(request.command)[0];
  const failing = failPoint(name);
  let reply;
  try {
    if (failing !== null && !failing.isAfterwards && failing.code !== null) {
      throw new ServerError(failing.code, 'FailPoint', 'Failing command via \'failCommand\' failpoint');
    }

    reply = failing === null || failing.isAfterwards ? run(server, connection, request.command) : null;
  } catch (error) {
    if (!(error instanceof ServerError)) {
      console.error(name, error);
    }

    reply = error instanceof ServerError
      ? { ok: 0, errmsg: error.message, code: error.code, codeName: error.codeName, ...error.more }
      : { ok: 0, errmsg: String(error), code: 8, codeName: 'UnknownError' };
  }

  if (failing?.closes) {
    socket.destroy();
  } else if (request.isAnswered) {
    socket.write(format(request, reply, ++replies));
  }
}

function failPoint(name) {
  const failing = server.failing;
  if (failing === null || !failing.commands.includes(name)) {
    return null;
  }

  if (--failing.times <= 0) {
    server.failing = null;
  }

  return failing;
}

function fail(argument) {
  console.error(`This server does not know ${argument}.`);
  process.exit(2);
}
