// SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side.
import crypto from 'node:crypto';
import { ServerError } from './errors.mjs';

const Iterations = 15_000;
const hmac = (key, text) => crypto.createHmac('sha256', key).update(text).digest();
const sha256 = bytes => crypto.createHash('sha256').update(bytes).digest();
const failed = () => new ServerError(18, 'AuthenticationFailed', 'Authentication failed.');

const salts = new Map();

function secretOf(user, password) {
  const key = `${user} ${password}`;
  if (!salts.has(key)) {
    const salt = crypto.randomBytes(28);
    salts.set(key, { salt, salted: crypto.pbkdf2Sync(password, salt, Iterations, 32, 'sha256') });
  }

  return salts.get(key);
}

export class Scram {
  constructor(users) {
    this.users = users;
  }

  start(payload) {
    const first = payload.toString('utf8');
    if (!first.startsWith('n,,')) {
      throw failed();
    }

    this.bare = first.slice(3);
    const [, name, nonce] = /^n=([^,]*),r=([^,]+)/.exec(this.bare) ?? [];
    this.user = name?.replaceAll('=2C', ',').replaceAll('=3D', '=');
    this.nonce = nonce + crypto.randomBytes(18).toString('base64');
    this.secret = secretOf(this.user, this.users.get(this.user) ?? crypto.randomBytes(8).toString('hex'));
    this.first = `r=${this.nonce},s=${this.secret.salt.toString('base64')},i=${Iterations}`;
    return Buffer.from(this.first);
  }

  finish(payload) {
    const [, channel, nonce, proof] = /^c=([^,]*),r=([^,]*),p=(.*)$/.exec(payload.toString('utf8')) ?? [];
    if (nonce !== this.nonce || channel !== 'biws') {
      throw failed();
    }

    const message = `${this.bare},${this.first},c=${channel},r=${nonce}`;
    const clientKey = hmac(this.secret.salted, 'Client Key');
    const signature = hmac(sha256(clientKey), message);
    const given = Buffer.from(proof, 'base64');
    if (given.length !== clientKey.length || !crypto.timingSafeEqual(given, clientKey.map((byte, i) => byte ^ signature[i]))) {
      throw failed();
    }

    return Buffer.from(`v=${hmac(hmac(this.secret.salted, 'Server Key'), message).toString('base64')}`);
  }
}
