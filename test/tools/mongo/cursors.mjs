// Answers in batches: the rest waits under a number until it is asked for.
import { bson } from './packages.mjs';
import { ServerError } from './errors.mjs';
import { toNumber } from './values.mjs';

const FirstBatch = 101;
const BatchMax = 16 * 1024 * 1024;

export class Cursors {
  open = new Map();
  last = 1_000_000n;

  begin(namespace, documents, batchSize, isSingle) {
    const cursor = { namespace, documents, at: 0 };
    const firstBatch = this.take(cursor, batchSize === undefined ? FirstBatch : Number(toNumber(batchSize)));
    let id = 0n;
    if (cursor.at < documents.length && !isSingle) {
      id = ++this.last;
      this.open.set(id, cursor);
    }

    return { ok: 1, cursor: { firstBatch, id: bson.Long.fromBigInt(id), ns: namespace } };
  }

  more(number, namespace, batchSize) {
    const id = BigInt(toNumber(number));
    const cursor = this.open.get(id);
    if (cursor === undefined || cursor.namespace !== namespace) {
      throw new ServerError(43, 'CursorNotFound', `cursor id ${id} not found`);
    }

    const nextBatch = this.take(cursor, batchSize === undefined ? Infinity : Number(toNumber(batchSize)));
    const isOver = cursor.at >= cursor.documents.length;
    if (isOver) {
      this.open.delete(id);
    }

    return { ok: 1, cursor: { nextBatch, id: bson.Long.fromBigInt(isOver ? 0n : id), ns: namespace } };
  }

  kill(numbers) {
    const killed = numbers.filter(number => this.open.delete(BigInt(toNumber(number))));
    return { ok: 1, cursorsKilled: killed, cursorsNotFound: numbers.filter(number => !killed.includes(number)), cursorsAlive: [], cursorsUnknown: [] };
  }

  take(cursor, max) {
    const batch = [];
    for (let size = 0; batch.length < max && cursor.at < cursor.documents.length; cursor.at++) {
      size += bson.calculateObjectSize(cursor.documents[cursor.at]);
      if (batch.length > 0 && size > BatchMax) {
        break;
      }

      batch.push(cursor.documents[cursor.at]);
    }

    return batch;
  }
}
