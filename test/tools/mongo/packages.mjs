// The npm packages of the look-alike lie where ./test.sh installs them.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(fileURLToPath(new URL('../../../.test-tools/package.json', import.meta.url)));
export const bson = require('bson');
export const mingo = require('mingo');
