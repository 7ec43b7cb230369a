// Runs the tests that wasm-bindgen-test exported from `tests.js` beside this
// file. An argument is a filter on their names.
'use strict';

const filter = process.argv[2] ?? '';
const handlers = {};
global.__wbgtest_og_console_log = console.log;
global.__wbgtest_og_console_error = console.error;
for (const method of ['debug', 'log', 'info', 'warn', 'error']) {
  console[method] = (...words) => handlers[method]?.(words);
}
global.__wbg_test_invoke = (test) => test();

const wasm = require('./tests.js');
const nameOf = (symbol) => symbol.slice(symbol.indexOf('::') + 2);
const all = Object.keys(wasm.__wasm).filter((symbol) => symbol.startsWith('__wbgt_'));
const chosen = all.filter((symbol) => nameOf(symbol).includes(filter));

async function main() {
  if (chosen.length === 0) return true;
  const context = new wasm.WasmBindgenTestContext(false);
  for (const method of ['debug', 'log', 'info', 'warn', 'error']) {
    handlers[method] = wasm[`__wbgtest_console_${method}`];
  }
  context.include_ignored(false);
  context.filtered_count(all.length - chosen.length);
  return context.run(chosen.map((symbol) => wasm.__wasm[symbol]));
}

main().then(
  (passed) => process.exit(passed ? 0 : 1),
  (error) => {
    global.__wbgtest_og_console_error(error);
    process.exit(1);
  },
);
