// Projections of plain fields: either those to keep or those to leave out.
import { badValue } from './errors.mjs';
import { isArray, isDocument, isNumber, partsOf, toNumber } from './values.mjs';

export function compileProjection(projection) {
  const fields = Object.entries(projection).map(([path, value]) => {
    if (!isNumber(value) && typeof value !== 'boolean') {
      throw badValue('This server knows projections of 0 and 1 only.');
    }

    return { path, parts: partsOf(path), isKept: typeof value === 'boolean' ? value : toNumber(value) !== 0 };
  });
  const others = fields.filter(field => field.path !== '_id');
  if (others.some(field => field.isKept !== others[0].isKept)) {
    throw badValue('Cannot do exclusion on one field in inclusion projection');
  }

  const id = fields.find(field => field.path === '_id');
  const isInclusion = others.length > 0 ? others[0].isKept : id?.isKept === true;
  if (!isInclusion) {
    return document => fields.filter(field => !field.isKept).reduce((rest, field) => without(rest, field.parts), document);
  }

  const kept = others.map(field => field.parts);
  return document => ({ ...(id?.isKept === false || !('_id' in document) ? {} : { _id: document._id }), ...only(document, kept) });
}

function without(value, [name, ...deeper]) {
  if (isArray(value)) {
    return value.map(item => without(item, [name, ...deeper]));
  }

  if (!isDocument(value) || !(name in value)) {
    return value;
  }

  const { [name]: inner, ...rest } = value;
  return deeper.length === 0 ? rest : { ...value, [name]: without(inner, deeper) };
}

function only(value, paths) {
  const kept = {};
  for (const [name, inner] of Object.entries(value)) {
    const here = paths.filter(path => path[0] === name);
    if (here.some(path => path.length === 1)) {
      kept[name] = inner;
    } else if (here.length > 0) {
      const deeper = here.map(path => path.slice(1));
      if (isArray(inner)) {
        kept[name] = inner.filter(isDocument).map(item => only(item, deeper));
      } else if (isDocument(inner)) {
        kept[name] = only(inner, deeper);
      }
    }
  }

  return kept;
}
