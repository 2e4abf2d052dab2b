// The wire protocol: messages cut out of a stream, OP_MSG, and the OP_QUERY that a driver says hello with.
import { bson } from './packages.mjs';

const Query = 2004;
const Reply = 1;
const Message = 2013;
const HeaderSize = 16;
export const MessageMax = 48_000_000;

// Values keep their exact types. A text in a document that is no UTF-8 is an error.
const reading = { promoteValues: false, promoteLongs: false, promoteBuffers: false, bsonRegExp: true };

export class MessageReader {
  parts = [];
  size = 0;

  // Whole messages that have arrived; throws where a length cannot be.
  *read(chunk) {
    this.parts.push(chunk);
    this.size += chunk.length;
    while (this.size >= HeaderSize) {
      if (this.parts[0].length < HeaderSize) {
        this.parts = [Buffer.concat(this.parts)];
      }

      const length = this.parts[0].readInt32LE(0);
      if (length < HeaderSize || length > MessageMax) {
        throw new Error(`A message of ${length} bytes.`);
      }

      if (this.size < length) {
        return;
      }

      const all = this.parts.length === 1 ? this.parts[0] : Buffer.concat(this.parts);
      yield all.subarray(0, length);
      this.parts = [all.subarray(length)];
      this.size -= length;
    }
  }
}

export function parse(message) {
  const [requestId, operation] = [message.readInt32LE(4), message.readInt32LE(12)];
  if (operation === Query) {
    const end = message.indexOf(0, 20);
    const database = message.toString('utf8', 20, end).split('.')[0];
    return { requestId, operation, isAnswered: true, command: { ...bson.deserialize(message.subarray(end + 9), reading), $db: database } };
  }

  if (operation !== Message) {
    throw new Error(`The operation ${operation}.`);
  }

  const flags = message.readUInt32LE(16);
  if ((flags & ~0x10002) !== 0) {
    throw new Error(`The flags ${flags}.`);
  }

  let command = {};
  for (let at = 20; at < message.length;) {
    const kind = message[at++];
    const size = message.readInt32LE(at);
    if (kind === 0) {
      command = { ...bson.deserialize(message.subarray(at, at + size), reading), ...command };
    } else if (kind === 1) {
      const end = message.indexOf(0, at + 4);
      const documents = [];
      for (let inner = end + 1; inner < at + size;) {
        const length = message.readInt32LE(inner);
        documents.push(bson.deserialize(message.subarray(inner, inner + length), reading));
        inner += length;
      }

      command = { ...command, [message.toString('utf8', at + 4, end)]: documents };
    } else {
      throw new Error(`A section of the kind ${kind}.`);
    }

    at += size;
  }

  return { requestId, operation, isAnswered: (flags & 2) === 0, command };
}

export function format(request, document, id) {
  const body = bson.serialize(document);
  const extra = request.operation === Query ? 20 : 5;
  const head = Buffer.alloc(HeaderSize + extra);
  head.writeInt32LE(head.length + body.length, 0);
  head.writeInt32LE(id, 4);
  head.writeInt32LE(request.requestId, 8);
  head.writeInt32LE(request.operation === Query ? Reply : Message, 12);
  if (request.operation === Query) {
    head.writeInt32LE(1, HeaderSize + 16);
  }

  return Buffer.concat([head, body]);
}
