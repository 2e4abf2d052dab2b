// An error of the server, by MongoDB's own numbers.
export class ServerError extends Error {
  constructor(code, codeName, message, more = {}) {
    super(message);
    Object.assign(this, { code, codeName, more });
  }
}

export const badValue = message => new ServerError(2, 'BadValue', message);
export const unknownField = (where, name) => new ServerError(40415, 'IDLUnknownField', `BSON field '${where}.${name}' is an unknown field.`);

// Whatever is not in the list is an error: nothing passes because this server does not know it.
export function allowOnly(where, document, names) {
  for (const name of Object.keys(document)) {
    if (!names.includes(name)) {
      throw unknownField(where, name);
    }
  }
}
