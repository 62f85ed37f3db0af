// SPDX-License-Identifier: Apache-2.0
// A daemon that hangs, dies and comes back; modules that are not there; programs
// that end, threads and clusters.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { Breaker, CircuitOpen } from '../../client/node/index.js';
import { breakerFor, daemonFor, until, withBoth } from './harness.js';

const HERE = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);

withBoth(test, 'a daemon that hangs or dies stops nobody', async (t, transport) => {
  const daemon = await daemonFor(t);
  const warnings = [];
  const breaker = await breakerFor(daemon, { transport, deadlineMs: 300, warn: (text) => warnings.push(text) });
  const s = breaker.service('llm');
  assert.equal(await s.call(() => 1), 1);
  daemon.process.kill('SIGSTOP');
  // A hundred at once: the deadline is for all of them, and the loop goes on.
  let turns = 0;
  const turning = setInterval(() => turns++, 10);
  const began = performance.now();
  assert.deepEqual(new Set(await Promise.all(Array.from({ length: 100 }, () => s.call(() => 'made')))), new Set(['made']));
  assert.equal(await s.retrying(() => 'made'), 'made');
  assert.equal(await breaker.ping(), null);
  const took = performance.now() - began;
  clearInterval(turning);
  assert.ok(took < 10000, `${took} ms`);
  assert.ok(turns > took / 10 / 10, `the loop turned ${turns} times in ${took} ms`);
  daemon.process.kill('SIGCONT');
  await until(() => breaker.ping(), 'the daemon to be heard again');
  await daemon.kill();
  for (let i = 0; i < 20; i++) assert.equal(await s.call(() => 2), 2);
  const epoch = await daemon.start().then(() => until(() => breaker.ping(), 'the next daemon'));
  assert.equal(epoch, 2);
  await s.call(() => 3);
  await until(async () => (await s.status())?.counters.success > 0, 'the reports');
  if (transport === 'wire') assert.equal(warnings.length, 1, warnings.join('\n'));
});

withBoth(test, 'nobody there: open by default, closed when told so', async (t, transport) => {
  const dir = placeFor(t);
  const warnings = [];
  const open = new Breaker({ dir, transport, fail: 'open', warn: (text) => warnings.push(text) });
  const closed = new Breaker({ dir, transport, fail: 'closed', warn: (text) => warnings.push(text) });
  t.after(() => Promise.all([open.close(), closed.close()]));
  for (let i = 0; i < 10; i++) assert.equal(await open.service('a').call(() => i), i);
  const error = await closed.service('a').call(() => 1).catch((e) => e);
  assert.ok(error instanceof CircuitOpen);
  assert.equal(error.reason, 'unavailable');
  assert.equal(await open.service('a').status(), null);
  if (transport === 'wire') assert.match(warnings[0], /breakerd does not run there; calls are let through/);
});

/** A directory of this test's own. */
function placeFor(t) {
  const place = mkdtempSync(path.join(os.tmpdir(), 'breakerd-test-'));
  t.after(() => rmSync(place, { recursive: true }));
  return place;
}

/** Runs a program, given as its text, and what it printed. */
async function run(t, program, { cwd = HERE, env = {} } = {}) {
  const file = path.join(placeFor(t), 'program.mjs');
  writeFileSync(file, program);
  const child = spawn(process.execPath, [file],
    { cwd, env: { PATH: process.env.PATH, BREAKER_LIBRARY: process.env.BREAKER_LIBRARY, ...env }, timeout: 30000 });
  let text = '';
  child.stdout.on('data', (data) => { text += data; });
  child.stderr.on('data', (data) => { text += data; });
  const [code] = await once(child, 'close');
  return { code, text };
}

const CLIENT = path.resolve(HERE, '../../client/node/index.js');

test('without koffi and zeromq calls are let through, and that is said once', async (t) => {
  const cwd = placeFor(t);
  const { code, text } = await run(t, `import { Breaker } from ${JSON.stringify(CLIENT)};
    for (const s of ['a', 'b']) console.log(await Breaker.shared().service(s).call(() => 'made'));`, { cwd });
  assert.equal(code, 0, text);
  assert.equal(text.match(/made/g).length, 2);
  assert.equal(text.match(/koffi is not installed; zeromq is not installed; calls are let through/g).length, 1);
});

withBoth(test, 'a program ends by itself, and what it said is heard', async (t, transport) => {
  const daemon = await daemonFor(t, '[defaults]\nfailure_threshold = 0\n');
  const { code, text } = await run(t, `import { Breaker } from ${JSON.stringify(CLIENT)};
    const s = new Breaker({ transport: '${transport}', deadlineMs: 5000 }).service('ended');
    for (let i = 0; i < 50; i++) s.recordFailure();
    await s.call(() => 1);`, { env: { BREAKERD_DIR: daemon.dir } });
  assert.equal(code, 0, text);
  const s = (await breakerFor(daemon)).service('ended');
  await until(async () => (await s.status())?.counters.failure === 50, 'the last reports');
});

withBoth(test, 'threads and clusters share the circuit', async (t, transport) => {
  const daemon = await daemonFor(t, '[defaults]\nfailure_threshold = 8\n');
  const env = { BREAKERD_DIR: daemon.dir, TRANSPORT: transport };
  const member = path.join(HERE, 'member.js');
  const breaker = await breakerFor(daemon);
  const isOpen = async (name) => (await breaker.service(name).status())?.state === 'open';
  const threads = await run(t, `import { Worker } from 'node:worker_threads'; import { once } from 'node:events';
    await Promise.all([1, 2].map(() => once(new Worker(${JSON.stringify(member)}), 'exit')));`, { env: { ...env, SERVICE: 'shared' } });
  assert.equal(threads.code, 0, threads.text);
  await until(() => isOpen('shared'), 'the threads\' circuit to open');
  const forked = await run(t, `import cluster from 'node:cluster'; import { once } from 'node:events';
    cluster.setupPrimary({ exec: ${JSON.stringify(member)} });
    await Promise.all([1, 2].map(() => once(cluster.fork(), 'exit')));`, { env: { ...env, SERVICE: 'forked' } });
  assert.equal(forked.code, 0, forked.text);
  await until(() => isOpen('forked'), 'the cluster\'s circuit to open');
});
