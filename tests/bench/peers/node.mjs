// SPDX-License-Identifier: Apache-2.0
// Breakers inside one process, in Node: opossum and cockatiel around a call that
// does nothing. Plays blocks as tools/bench/bench_player.h says.
//
//   node node.mjs opossum|cockatiel
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const WARM = 200_000;
const from = createRequire(new URL('../../node/package.json', import.meta.url));
const nothing = async () => 1;
const now = () => Number(process.hrtime.bigint());

function guard(name) {
  if (name === 'opossum') {
    const breaker = new (from('opossum'))(nothing, { timeout: false });
    return () => breaker.fire();
  }
  const { ConsecutiveBreaker, circuitBreaker, handleAll } = from('cockatiel');
  const breaker = circuitBreaker(handleAll, {
    halfOpenAfter: 60_000,
    breaker: new ConsecutiveBreaker(5),
  });
  return () => breaker.execute(nothing);
}

async function play(call, count) {
  const began = now();
  for (let i = 0; i < count; i++) await call();
  const ended = now();
  return `ok ${count} ${began} ${ended} ${ended - began} ${ended - began}`;
}

const call = guard(process.argv[2]);
// Compiled and warm, as in a process that has run for a while.
for (let i = 0; i < WARM; i++) await call();
for await (const line of createInterface({ input: process.stdin })) {
  const [block, count] = line.trim().split(/\s+/);
  if (block === 'execute') console.log(await play(call, Number(count)));
  else console.log('no there is no such block');
}
process.exit(0);
