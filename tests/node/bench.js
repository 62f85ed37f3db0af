// SPDX-License-Identifier: Apache-2.0
// What guarding a call costs, beside breakers that live in one process, all in the
// same run: the same function that does nothing, guarded. Prints microseconds a
// call (the best of some rounds) and how much of opossum's that is.
//
//   BREAKERD=... BREAKER_LIBRARY=... node tests/node/bench.js [CALLS]
import { createRequire } from 'node:module';
import { ConsecutiveBreaker, circuitBreaker, handleAll } from 'cockatiel';
import { Breaker } from '../../client/node/index.js';
import { Daemon, until } from './harness.js';

const CircuitBreaker = createRequire(import.meta.url)('opossum');
const calls = Number(process.argv[2] ?? 20000);
const ROUNDS = 5;

async function best(ask) {
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now();
    for (let i = 0; i < calls; i++) await ask();
    least = Math.min(least, ((performance.now() - began) * 1000) / calls);
  }
  return least;
}

const daemon = await new Daemon().start();
const breakers = {};
for (const transport of ['memory', 'wire']) {
  breakers[transport] = new Breaker({ dir: daemon.dir, transport, deadlineMs: 5000 });
  daemon.breakers.push(breakers[transport]);
  await until(() => breakers[transport].ping(), 'an answer to PING');
}
const nothing = async () => 1;
const opossum = new CircuitBreaker(nothing, { timeout: false });
const cockatiel = circuitBreaker(handleAll, { halfOpenAfter: 1000, breaker: new ConsecutiveBreaker(5) });
const { transport } = breakers.memory;

const rows = [
  ['the function alone', () => nothing()],
  ['opossum, one process', () => opossum.fire()],
  ['cockatiel, one process', () => cockatiel.execute(nothing)],
  ['breakerd, shared memory', () => breakers.memory.service('bench').call(nothing)],
  ['  of it, the decision', () => transport.take('bench')],
  ['breakerd, over the wire', () => breakers.wire.service('bench').call(nothing)],
];
const told = [];
for (const [name, ask] of rows) {
  await best(ask); // warm
  told.push([name, await best(ask)]);
}
opossum.shutdown();
await daemon.end();
const of = told.find(([name]) => name.startsWith('opossum'))[1];
for (const [name, us] of told) console.log(`${name.padEnd(26)}${us.toFixed(2).padStart(10)} us${(us / of).toFixed(2).padStart(9)} x opossum`);
